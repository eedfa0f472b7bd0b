// Package tools is what a tool is made of: a Spec that declares it, a typed
// handler that does it, and an egress contract that bounds it.
//
// It guarantees that a handler gets no vault, no person, no token and no request:
// only an *http.Client that is bound to this caller, this tool and this call, and
// that refuses whatever the contract doesn't list. A tool's arguments therefore
// can't choose whose credential acts. The package imports nothing of Latchkey's.
package tools

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// A Spec declares a tool.
type Spec struct {
	Name        string // snake case, provider first: "github_search_issues"
	Title       string // for people
	Description string // for models; says when not to use it
	// Can says to a person on the consent page what the tool does with the
	// account: "Create issues in your repositories".
	Can string
	// Provider whose credential the tool acts with: "github", "google".
	Provider string
	// Scopes are the least of the provider's scopes that the tool needs.
	Scopes []string
	// ReadOnly, Destructive and Idempotent are MCP's tool annotations. A tool
	// that isn't ReadOnly needs the OAuth scope tools:write.
	ReadOnly, Destructive, Idempotent bool
	// KeyedByProvider says that the provider itself makes one thing of a repeated
	// idempotency_key, an argument that the tool then has.
	KeyedByProvider bool
	// Egress is the contract: all that the tool may send.
	Egress []Rule
}

// KeyArgument is the argument with which a caller says that two calls are one.
const KeyArgument = "idempotency_key"

// A Rule lists one request that a tool may send. Anything that matches no rule is
// refused before a byte leaves.
type Rule struct {
	Method string
	// Host is the provider's public API host, "api.github.com"; the bound client
	// applies a configured base URL after the check.
	Host string
	// Path is a template in which {name} stands for one escaped segment, without
	// "/", "%2F" or dot segments: "/repos/{owner}/{repo}/issues". A {name...} at the
	// end stands for one or more of them: "/repos/{owner}/{repo}/contents/{path...}".
	Path string
	// Query lists the parameter names that may appear.
	Query []string
	// Safe says that the provider describes this POST as one that changes nothing,
	// like a question too long for a URL (RFC 9110, section 9.2.1).
	Safe bool
	// Redirects lists the hosts at which the provider may have this GET answered, for
	// downloads: "files.example.com", "*.files.example.com" with any one label for the
	// star, or "store*.example.com" with a number for it. The bound client goes there
	// without the credential, only where the provider's answer says, and once.
	Redirects []string
}

// A Handler does a tool's work with api, the bound client. It returns a *Error for
// whatever a model can act on; the text of other errors is not shown.
type Handler[In, Out any] func(ctx context.Context, api *http.Client, in In) (Out, error)

// A Tool is a Spec with its handler and schemas. Define makes it.
type Tool struct {
	spec   Spec
	input  json.RawMessage
	output json.RawMessage
	keyed  bool
	call   func(ctx context.Context, api *http.Client, arguments json.RawMessage) (json.RawMessage, error)

	arguments *jsonschema.Schema                    // input, which has an order of names
	check     func(arguments json.RawMessage) error // that Call does first
}

// Spec is the tool's declaration, as a copy.
func (t Tool) Spec() Spec { return t.spec.clone() }

// Needing is the tool with other provider scopes, for a kind of OAuth client that
// has others.
func (t Tool) Needing(scopes ...string) Tool {
	t.spec = t.spec.clone()
	t.spec.Scopes = scopes
	return t
}

// InputSchema is the JSON Schema (2020-12) of the arguments, an object closed at
// every level.
func (t Tool) InputSchema() json.RawMessage { return t.input }

// OutputSchema is the JSON Schema (2020-12) of the structured result, which doesn't
// say what is always there.
func (t Tool) OutputSchema() json.RawMessage { return t.output }

// Keyed reports whether the tool takes an idempotency_key, with which a repeated
// call does its work once.
func (t Tool) Keyed() bool { return t.keyed }

// Call checks arguments against the schema, runs the handler and returns the
// structured result. Wrong arguments are a *Error that names the field.
func (t Tool) Call(ctx context.Context, api *http.Client, arguments json.RawMessage) (json.RawMessage, error) {
	return t.call(ctx, api, arguments)
}

// A Module is a provider's tools.
type Module struct {
	Name     string // "calendar", "github"
	Title    string // "Google Calendar"
	Provider string
	Tools    []Tool
}

// Error is an error that a model can act on: Message is a sentence that says what
// is wrong and what to do. Fault is what went wrong inside, for the log; nil where
// nothing did.
type Error struct {
	Message string
	Fault   error
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Fault }

// Facts are what a handler may know beside its arguments.
type Facts struct {
	// Connection is the connected account that the whole call acts on. Its error,
	// which says that there is none, is for the handler to return.
	Connection func() (Connection, error)
	Now        func() time.Time
	// Seal and Open are behind WriteCursor and ReadCursor; nil outside of a call.
	Seal func(plain []byte) (string, error)
	Open func(sealed string) ([]byte, error)
	// Progress tells a client that asked for it how far a long call is: done, more
	// each time, of total, or of 0 where nobody knows. Of many in a row some are
	// left out, and any may get lost.
	Progress func(done, total float64, message string)
}

// A Connection is an account at the provider, and what its person allowed.
type Connection struct {
	Account string // its label
	Scopes  []string
}

type factsKey struct{}

// WithFacts is ctx with f, for whoever calls a tool.
func WithFacts(ctx context.Context, f Facts) context.Context {
	return context.WithValue(ctx, factsKey{}, f)
}

// Info is what a handler may know of its call; the zero Facts, with the real
// clock, outside one.
func Info(ctx context.Context) Facts {
	f, _ := ctx.Value(factsKey{}).(Facts)
	if f.Now == nil {
		f.Now = time.Now
	}
	if f.Connection == nil {
		f.Connection = func() (Connection, error) { return Connection{}, errors.New("tools: no connection outside of a call") }
	}
	if f.Progress == nil {
		f.Progress = func(float64, float64, string) {}
	}
	return f
}
