package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// layers says which of our packages each of our packages may import. Tool modules are
// not in it: each may import tools, and cmd/latchkey them.
var layers = map[string][]string{
	"cmd/latchkey": {
		"mcpserver", "oauthflow", "oauthflow/authserver", "store", "store/audit", "store/identity", "store/sqlite",
		"tools", "tools/sandbox",
	},
	"mcpserver":            {"store", "store/audit", "store/identity", "tools"},
	"oauthflow":            {"oauthflow/page", "store", "store/audit", "store/identity", "tools"},
	"oauthflow/authserver": {"oauthflow/page", "store", "store/audit", "store/identity"},
	"oauthflow/page":       {},
	"store":                {"store/audit", "store/identity"},
	"store/identity":       {},
	"store/audit":          {"store/identity"},
	"store/sqlite":         {"store", "store/audit", "store/identity"},
	"store/storetest":      {"store", "store/audit", "store/identity", "store/sqlite"},
	"tools":                {},
	"tools/sandbox":        {},
	"tools/tooltest":       {"tools", "tools/sandbox"},
}

// confined says in which folders or files alone an import may appear.
var confined = map[string][]string{
	"github.com/lestrrat-go/jwx":  {"store/identity/", "oauthflow/authserver/signer.go"},
	"github.com/coreos/go-oidc":   {"store/identity/", "oauthflow/authserver/"},
	"github.com/mark3labs/mcp-go": {"mcpserver/"},
	"github.com/google/go-github": {"tools/github/"},
	"google.golang.org/api":       {"tools/calendar/", "store/kms_gcpkms.go"},
	"github.com/alecthomas/kong":  {"cmd/latchkey/"},
	"golang.org/x/oauth2":         {"oauthflow/"},
	"github.com/prometheus":       {"cmd/latchkey/metrics.go"},
	"database/sql":                {"store/"},
	"modernc.org/sqlite":          {"store/sqlite/"},
	"github.com/pressly/goose":    {"store/sqlite/"},
	"unsafe":                      {},
	"plugin":                      {},

	"github.com/tink-crypto/tink-go-gcpkms":  {"store/kms_gcpkms.go"},
	"github.com/tink-crypto/tink-go-awskms":  {"store/kms_awskms.go"},
	"github.com/tink-crypto/tink-go-hcvault": {"store/kms_hcvault.go"},
	"github.com/aws":                         {"store/kms_awskms.go"},
	"github.com/hashicorp":                   {"store/kms_hcvault.go"},
}

// tagged are the files that the default build leaves out with all that they import,
// each by the build tag that takes it in.
var tagged = map[string]string{
	"store/kms_gcpkms.go": "gcpkms", "store/kms_awskms.go": "awskms", "store/kms_hcvault.go": "hcvault",
}

// revealers are the files that may read a credential, beside store itself.
var revealers = regexp.MustCompile(`^(mcpserver/transport\.go|oauthflow/(exchange|provider|github|google|custom)\.go|store/[a-z_]+\.go)$`)

// toolModule matches the files of tool modules, present and future, which are held
// tighter. The sandbox is no module: it serves, and calls nobody. Nor is what their
// tests share, which nothing but tests may import.
func toolModule(f sourceFile) bool { return isModule(f.dir()) }

func isModule(dir string) bool {
	return strings.HasPrefix(dir, "tools/") && !slices.Contains([]string{"tools/sandbox", "tools/tooltest"}, dir)
}

// toolLibraries are the provider's own client library of each tool module.
var toolLibraries = map[string][]string{
	"tools/calendar": {"google.golang.org/api/calendar/v3", "google.golang.org/api/googleapi", "google.golang.org/api/option"},
	"tools/github":   {"github.com/google/go-github/v89/github"},
}

// someone matches parameters that would choose a person.
var someone = regexp.MustCompile(`(?i)^(as_?)?(for_?)?(user|uid|username|principal|person|who|whom|subject|sub|e?mail|login|tenant|onbehalfof|actas|caller_?id)(_?id|_?name|s)?$`)

var rules = []rule{
	{"layers", checkLayers, map[string]string{
		"mcpserver/m.go":       `package m; import _ "github.com/latchkey-mcp/latchkey/oauthflow"`,
		"tools/github/m.go":    `package m; import _ "github.com/latchkey-mcp/latchkey/store"`,
		"store/identity/m.go":  `package m; import _ "github.com/latchkey-mcp/latchkey/store"`,
		"store/m.go":           `package m; import _ "github.com/latchkey-mcp/latchkey/tools/sandbox"`,
		"tools/slack/m.go":     `package m; import _ "github.com/latchkey-mcp/latchkey/store"`,
		"tools/slack/n.go":     `package m; import _ "github.com/latchkey-mcp/latchkey/tools/github"`,
		"tools/slack/in/m.go":  `package m`,
		"mcpserver/n.go":       `package m; import _ "github.com/latchkey-mcp/latchkey/tools/slack"`,
		"oauthflow/extra/m.go": `package m`,
	}},
	{"confined imports", checkConfined, map[string]string{
		"mcpserver/m.go":            `package m; import _ "github.com/lestrrat-go/jwx/v2/jwt"`,
		"oauthflow/authserver/m.go": `package m; import _ "github.com/lestrrat-go/jwx/v2/jws"`,
		"oauthflow/m.go":            `package m; import _ "github.com/coreos/go-oidc/v3/oidc"`,
		"cmd/latchkey/m.go":         `package m; import _ "database/sql"`,
		"tools/github/m.go":         `package m; import _ "google.golang.org/api/gmail/v1"`,
		"store/m.go":                `package m; import _ "unsafe"`,
		"mcpserver/n.go":            `package m; import _ "github.com/prometheus/client_golang/prometheus"`,
	}},
	{"KMS drivers are left out by default", checkTagged, map[string]string{
		"store/kms_hcvault.go": `package m; import _ "github.com/hashicorp/vault/api"`,
		"store/kms_awskms.go":  "//go:build awskms || !gcpkms\n\npackage m",
		"store/kms_gcpkms.go":  "//go:build hcvault\n\npackage m",
	}},
	{"who may reveal a secret", checkReveal, map[string]string{
		"mcpserver/bind.go":    `package m; func f(s S) string { return s.Reveal() }`,
		"oauthflow/pages.go":   `package m; func f(g G) any { return g.Access.Reveal }`,
		"store/sqlite/rows.go": `package m; func f(s S) string { return s.Reveal() }`,
	}},
	{"who may own records by a subject", checkOwnerOf, map[string]string{
		"oauthflow/a.go": `package m; import "github.com/latchkey-mcp/latchkey/store/identity"; var f = identity.OwnerOf`,
		"mcpserver/b.go": `package m; func f() { identity.OwnerOf("issuer", "alice") }`,
	}},
	{"what a tool module may import", checkToolImports, map[string]string{
		"tools/github/a.go":   `package m; import _ "os"`,
		"tools/github/b.go":   `package m; import _ "net"`,
		"tools/calendar/c.go": `package m; import _ "reflect"`,
		"tools/calendar/d.go": `package m; import _ "golang.org/x/oauth2"`,
		"tools/calendar/e.go": `package m; import . "net/http"`,
		"tools/calendar/f.go": `package m; import _ "os/exec"`,
		"tools/calendar/h.go": `package m; import _ "google.golang.org/api/transport/http"`,
		"tools/slack/i.go":    `package m; import _ "github.com/slack-go/slack"`,
		"tools/calendar/g.go": "package m\n\n//go:linkname f runtime.f\nfunc f()\n",
	}},
	{"a tool module has no client of its own", checkToolClients, map[string]string{
		"tools/github/a.go":   `package m; import "net/http"; var _ = http.Client{}`,
		"tools/github/b.go":   `package m; import h "net/http"; func f() { h.Get("https://evil.example") }`,
		"tools/github/c.go":   `package m; import "net/http"; func f() any { return new(http.Client) }`,
		"tools/calendar/d.go": `package m; import "net/http"; func f() any { return http.DefaultTransport }`,
		"tools/calendar/e.go": `package m; import "net/http"; func f() any { return &http.Transport{} }`,
		"tools/calendar/f.go": `package m; import "net/http"; type T struct { c http.Client }`,
		"tools/slack/g.go":    `package m; import "net/http"; var _ = http.DefaultClient`,
	}},
	{"a tool module's library is given the bound client", checkToolLibrary, map[string]string{
		"tools/github/a.go":   `package m; import gh "github.com/google/go-github/v89/github"; func f() { gh.NewClient(gh.WithUserAgent("x")) }`,
		"tools/github/b.go":   `package m; import "github.com/google/go-github/v89/github"; var f = github.NewClient`,
		"tools/calendar/c.go": `package m; import g "google.golang.org/api/calendar/v3"; func f() { g.NewService(nil) }`,
		"tools/calendar/d.go": `package m; import g "google.golang.org/api/calendar/v3"; func f() { g.New(nil) }`,
	}},
	{"a tool module keeps nothing between calls", checkToolVariables, map[string]string{
		"tools/github/a.go":   `package m; var last string`,
		"tools/github/b.go":   `package m; var cache = map[string]string{}`,
		"tools/calendar/c.go": `package m; import "sync"; var ( once sync.Once )`,
		"tools/calendar/d.go": `package m; var p = new(int)`,
		"tools/slack/e.go":    `package m; var last string`,
	}},
	{"no parameter chooses a person", checkParameters, map[string]string{
		"store/a.go":        `package m; func Open(userID string) {}`,
		"mcpserver/b.go":    `package m; type K struct{}; func (K) Grant(provider, asUser string) {}`,
		"oauthflow/c.go":    `package m; type I interface { Token(subject string) }`,
		"oauthflow/d.go":    `package m; func F(p identity.Principal) {}`,
		"cmd/latchkey/e.go": `package m; func F(d identity.Digest) {}`,
	}},
	{"nobody else makes a caller", checkIdentity, map[string]string{
		"store/identity/a.go": `package identity; type Principal struct { Issuer string }`,
		"store/identity/b.go": `package identity; func (c *Caller) UnmarshalJSON([]byte) error { return nil }`,
		"store/identity/c.go": `package identity; func (p Principal) Scan(any) error { return nil }`,
		"store/identity/d.go": `package identity; func NewCaller(issuer string) Caller { return Caller{} }`,
		"store/identity/e.go": `package identity; type Caller struct { Principal }`,
		"store/identity/f.go": `package identity; func (v *Verifier) Trust() (*Principal, error) { return nil, nil }`,
	}},
	{"no init functions", checkInit, map[string]string{
		"tools/m.go": `package m; func init() {}`,
	}},
	{"a server has limits", checkServers, map[string]string{
		"cmd/latchkey/a.go": `package m; import "net/http"; var s = http.Server{IdleTimeout: 1, MaxHeaderBytes: 1}`,
		"cmd/latchkey/b.go": `package m; import "net/http"; var s = &http.Server{ReadHeaderTimeout: 1, MaxHeaderBytes: 1}`,
		"mcpserver/c.go":    `package m; import "net/http"; var s = &http.Server{ReadHeaderTimeout: 1, IdleTimeout: 1}`,
		"oauthflow/d.go":    `package m; import "net/http"; var s = new(http.Server)`,
		"oauthflow/e.go":    `package m; import "net/http"; func f() { http.ListenAndServe("", nil) }`,
		"mcpserver/f.go":    `package m; func f(s S) { s.Start(":8080") }`,
	}},
	{"no default HTTP client", checkDefaultClient, map[string]string{
		"oauthflow/a.go": `package m; import "net/http"; func f() { http.Get("https://x.example") }`,
		"mcpserver/b.go": `package m; import "net/http"; var c = http.DefaultClient`,
	}},
}

func checkLayers(f sourceFile) []string {
	allowed, listed := layers[f.dir()]
	aModule := path.Dir(f.dir()) == "tools" && isModule(f.dir())
	switch {
	case aModule:
		allowed = []string{"tools"}
	case !listed:
		return []string{"package " + f.dir() + " is in no layer: list it in layers, with what it may import"}
	}
	var faults []string
	for _, p := range f.imports() {
		ours, ok := strings.CutPrefix(p, module)
		wired := f.dir() == "cmd/latchkey" && isModule(ours)
		if ok && !wired && !slices.Contains(allowed, ours) {
			faults = append(faults, f.dir()+" may not import "+ours)
		}
	}
	return faults
}

func checkConfined(f sourceFile) []string {
	var faults []string
	for _, p := range f.imports() {
		for prefix, places := range confined {
			inside := slices.ContainsFunc(places, func(place string) bool { return strings.HasPrefix(f.path, place) })
			if (p == prefix || strings.HasPrefix(p, prefix+"/")) && !inside {
				faults = append(faults, fmt.Sprintf("%s belongs in %v only", p, places))
			}
		}
	}
	return faults
}

func checkTagged(f sourceFile) []string {
	tag, ok := tagged[f.path]
	if !ok || len(f.ast.Comments) > 0 && f.ast.Comments[0].Pos() < f.ast.Package && f.ast.Comments[0].List[0].Text == "//go:build "+tag {
		return nil
	}
	return []string{"must start with //go:build " + tag}
}

func checkReveal(f sourceFile) []string {
	var faults []string
	f.selections(func(_, sel string, _ ast.Node) {
		if sel == "Reveal" && !revealers.MatchString(f.path) {
			faults = append(faults, "may not Reveal a secret")
		}
	})
	return faults
}

// checkOwnerOf leaves naming an owner without a verified caller to the built-in
// authorization server.
func checkOwnerOf(f sourceFile) []string {
	var faults []string
	f.selections(func(_, sel string, _ ast.Node) {
		if sel == "OwnerOf" && f.dir() != "oauthflow/authserver" {
			faults = append(faults, "may not name an owner by a subject")
		}
	})
	return faults
}

// toolStdlib is what a tool module may import of the standard library.
var toolStdlib = []string{
	"bytes", "cmp", "context", "crypto/sha256", "embed", "encoding/base64", "encoding/hex", "encoding/json", "errors", "fmt",
	"io", "iter", "log/slog", "maps", "math", "net/http", "net/url", "path", "regexp", "slices", "sort", "strconv", "strings",
	"time", "time/tzdata", "unicode", "unicode/utf8",
}

func checkToolImports(f sourceFile) []string {
	if !toolModule(f) {
		return nil
	}
	var faults []string
	for _, spec := range f.ast.Imports {
		p := strings.Trim(spec.Path.Value, "`\"")
		ours := p == module+"tools" || slices.Contains(toolLibraries[f.dir()], p)
		if !ours && !slices.Contains(toolStdlib, p) || spec.Name != nil && spec.Name.Name == "." {
			faults = append(faults, "a tool module may not import "+p)
		}
	}
	for _, group := range f.ast.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:linkname") {
				faults = append(faults, "a tool module may not use "+c.Text)
			}
		}
	}
	return faults
}

// toolHTTP is what a tool module may use of net/http: names and messages, no
// client, no transport, no server.
var toolHTTP = regexp.MustCompile(`^(Status\w+|Method\w+|Header|Request|Response|NewRequestWithContext|NoBody|ErrUseLastResponse)$`)

func checkToolClients(f sourceFile) []string {
	name := f.importName("net/http")
	if !toolModule(f) || name == "" {
		return nil
	}
	var faults []string
	f.selections(func(x, sel string, parent ast.Node) {
		_, pointer := parent.(*ast.StarExpr)
		if x == name && !toolHTTP.MatchString(sel) && !(sel == "Client" && pointer) {
			faults = append(faults, "a tool module may not use http."+sel+": it has the bound client")
		}
	})
	return faults
}

// checkToolLibrary holds that whatever makes a library's client gets ours, in the
// same call: on its own it would make one that no contract bounds.
func checkToolLibrary(f sourceFile) []string {
	if !toolModule(f) {
		return nil
	}
	var names []string
	for _, p := range toolLibraries[f.dir()] {
		names = append(names, f.importName(p))
	}
	var faults []string
	f.selections(func(x, sel string, parent ast.Node) {
		makes := x != "" && slices.Contains(names, x) && regexp.MustCompile(`^New(Service|\w*Client\w*)?$`).MatchString(sel)
		if call, ok := parent.(*ast.CallExpr); makes && !(ok && slices.ContainsFunc(call.Args, isWithHTTPClient)) {
			faults = append(faults, x+"."+sel+" without WithHTTPClient: it would make a client of its own")
		}
	})
	return faults
}

func isWithHTTPClient(arg ast.Expr) bool {
	call, ok := arg.(*ast.CallExpr)
	return ok && typeName(call.Fun) == "WithHTTPClient"
}

// constantCalls make values that nobody can change.
var constantCalls = []string{"errors.New", "regexp.MustCompile", "tools.Define", "template.Must"}

func checkToolVariables(f sourceFile) []string {
	if !toolModule(f) {
		return nil
	}
	var faults []string
	for _, decl := range f.ast.Decls {
		vars, ok := decl.(*ast.GenDecl)
		if !ok || vars.Tok != token.VAR {
			continue
		}
		for _, spec := range vars.Specs {
			v := spec.(*ast.ValueSpec)
			if !isConstant(v) && !isEmbedded(vars, v) {
				faults = append(faults, "package variable "+v.Names[0].Name+" could carry something from one call to another")
			}
		}
	}
	return faults
}

func isConstant(v *ast.ValueSpec) bool {
	if len(v.Values) == 0 {
		return v.Names[0].Name == "_"
	}
	return !slices.ContainsFunc(v.Values, func(e ast.Expr) bool {
		call, ok := e.(*ast.CallExpr)
		if !ok {
			return true
		}
		fn, ok := call.Fun.(*ast.SelectorExpr)
		return !ok || !slices.Contains(constantCalls, typeName(fn.X)+"."+fn.Sel.Name)
	})
}

func isEmbedded(vars *ast.GenDecl, v *ast.ValueSpec) bool {
	return vars.Doc != nil && strings.Contains(vars.Doc.List[len(vars.Doc.List)-1].Text, "go:embed") && typeName(v.Type) == "string"
}

func checkParameters(f sourceFile) []string {
	// The one makes callers, the others are tests' and the outside world's.
	if slices.Contains([]string{"store/identity", "store/storetest", "tools/sandbox", "tools/tooltest"}, f.dir()) {
		return nil
	}
	var faults []string
	f.exported(func(fn string, sig *ast.FuncType, _ ast.Expr) {
		for _, field := range sig.Params.List {
			kind := typeName(field.Type)
			if kind == "Principal" || kind == "Digest" && !strings.HasPrefix(f.dir(), "store") {
				faults = append(faults, fn+" takes a "+kind+": only a verified Caller may say who asks")
			}
			for _, name := range field.Names {
				if someone.MatchString(name.Name) {
					faults = append(faults, fn+" takes a parameter "+name.Name+": who asks is never a parameter")
				}
			}
		}
	})
	return faults
}

// makers are the only exported ways to a Principal, Caller or Session.
var makers = []string{"Verifier.Verify", "Browser.SignIn", "Browser.Open", "Session.Caller", "Caller.Principal"}

func checkIdentity(f sourceFile) []string {
	if f.dir() != "store/identity" {
		return nil
	}
	isIdentity := func(name string) bool { return slices.Contains([]string{"Principal", "Caller", "Session"}, name) }
	var faults []string
	f.types(func(spec *ast.TypeSpec) {
		s, ok := spec.Type.(*ast.StructType)
		if !ok || !isIdentity(spec.Name.Name) {
			return
		}
		for _, field := range s.Fields.List {
			if len(field.Names) == 0 || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
				faults = append(faults, spec.Name.Name+" has an exported or embedded field")
			}
		}
	})
	f.exported(func(fn string, sig *ast.FuncType, receiver ast.Expr) {
		_, pointer := receiver.(*ast.StarExpr)
		decodes := regexp.MustCompile(`^(Unmarshal|Decode|Scan|Set|GobDecode)`).MatchString(fn)
		if isIdentity(typeName(receiver)) && (pointer || decodes) {
			faults = append(faults, typeName(receiver)+"."+fn+" could change who somebody is")
		}
		if sig.Results == nil || slices.Contains(makers, typeName(receiver)+"."+fn) {
			return
		}
		for _, result := range sig.Results.List {
			if isIdentity(typeName(result.Type)) {
				faults = append(faults, fn+" makes a "+typeName(result.Type)+": only "+strings.Join(makers, ", ")+" may")
			}
		}
	})
	return faults
}

func checkInit(f sourceFile) []string {
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			return []string{"has an init function: wiring is in one visible place"}
		}
	}
	return nil
}

// serverLimits are what net/http leaves open, or wide, by default.
var serverLimits = []string{"ReadHeaderTimeout", "IdleTimeout", "MaxHeaderBytes"}

// checkServers keeps slow and large requests out: a server is a literal with its
// limits, never one that a library starts (mcp-go's Start sets none).
func checkServers(f sourceFile) []string {
	name := f.importName("net/http")
	var faults []string
	f.selections(func(x, sel string, parent ast.Node) {
		literal, isLiteral := parent.(*ast.CompositeLit)
		_, isPointer := parent.(*ast.StarExpr)
		switch {
		case sel == "Start" && strings.HasPrefix(f.path, "mcpserver/"):
			faults = append(faults, "Start makes a server without limits")
		case name == "" || x != name:
		case sel == "Server" && isLiteral:
			faults = append(faults, missingLimits(literal)...)
		case sel == "Server" && !isPointer, slices.Contains([]string{"ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS"}, sel):
			faults = append(faults, "http."+sel+" is a server without limits")
		}
	})
	return faults
}

func missingLimits(server *ast.CompositeLit) []string {
	var faults []string
	for _, limit := range serverLimits {
		if !hasField(server, limit) {
			faults = append(faults, "a server without "+limit)
		}
	}
	return faults
}

func hasField(literal *ast.CompositeLit, name string) bool {
	return slices.ContainsFunc(literal.Elts, func(e ast.Expr) bool {
		kv, ok := e.(*ast.KeyValueExpr)
		return ok && typeName(kv.Key) == name
	})
}

func checkDefaultClient(f sourceFile) []string {
	name := f.importName("net/http")
	var faults []string
	f.selections(func(x, sel string, _ ast.Node) {
		if name != "" && x == name && slices.Contains([]string{"DefaultClient", "Get", "Head", "Post", "PostForm"}, sel) {
			faults = append(faults, "uses http."+sel+", which has no deadline and nobody's guard")
		}
	})
	return faults
}
