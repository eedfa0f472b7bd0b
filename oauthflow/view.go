package oauthflow

import (
	"context"
	"embed"
	"html/template"
	"net/http"
	"slices"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/tools"
)

//go:embed templates/*.html
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "templates/*.html"))

// A view is one page: the template Name over Data.
type view struct {
	Title, Name, SignedIn string
	Data                  any
	FormTargets           []string
}

// show writes v. By then there is nobody left to tell of an error but the log.
func (f *Flow) show(w http.ResponseWriter, r *http.Request, status int, v view) {
	body, err := page.Render(templates, v.Name, v.Data)
	if err == nil {
		err = page.Write(w, status, page.Page{
			Title: v.Title, Demo: f.Demo, SignedIn: v.SignedIn, Body: body, FormTargets: v.FormTargets,
		})
	}
	if err != nil {
		f.Log.ErrorContext(r.Context(), "a page could not be written", "page", r.Pattern, "error", err)
	}
}

// A scopeView is a scope in plain words.
type scopeView struct {
	Scope, Words string
	New          bool // not granted yet, while others are
}

// inWords are scopes in plain words, the second name of one left out; those that
// have doesn't cover are new.
func (p Provider) inWords(scopes, have []string) []scopeView {
	var views []scopeView
	for i, scope := range scopes {
		if slices.ContainsFunc(scopes[:i], func(before string) bool { return p.same(before, scope) }) {
			continue
		}
		words := p.words[scope]
		if words == "" {
			words = "Permission " + scope
		}
		views = append(views, scopeView{scope, words, len(have) > 0 && !p.covers(have, scope)})
	}
	return views
}

// A toolView is a tool as people see it: what it does, and all that it may send.
type toolView struct {
	Title, Can string
	Sends      []string
	ReadOnly   bool
}

// toolsWith are p's tools that work with those scopes.
func (f *Flow) toolsWith(p Provider, scopes []string) []toolView {
	var views []toolView
	for _, s := range f.specs(p.name) {
		if len(p.missing(scopes, s.Scopes)) > 0 {
			continue
		}
		v := toolView{Title: s.Title, Can: s.Can, ReadOnly: s.ReadOnly}
		for _, rule := range s.Egress {
			v.Sends = append(v.Sends, rule.Method+" "+rule.Host+rule.Path)
			for _, host := range rule.Redirects {
				v.Sends = append(v.Sends, "GET "+host+" (a download that the one above leads to, without your credential)")
			}
		}
		views = append(views, v)
	}
	return views
}

// specs are a provider's tools, those that only read first.
func (f *Flow) specs(provider string) []tools.Spec {
	var specs []tools.Spec
	for _, m := range f.Modules {
		for _, t := range m.Tools {
			if s := t.Spec(); s.Provider == provider {
				specs = append(specs, s)
			}
		}
	}
	slices.SortStableFunc(specs, func(a, b tools.Spec) int { return rank(a) - rank(b) })
	return specs
}

func rank(s tools.Spec) int {
	if s.ReadOnly {
		return 0
	}
	return 1
}

// scopesOf are the scopes of all of a provider's tools, each once.
func (f *Flow) scopesOf(provider string) []string {
	var all []string
	for _, s := range f.specs(provider) {
		for _, scope := range s.Scopes {
			if !slices.Contains(all, scope) {
				all = append(all, scope)
			}
		}
	}
	return all
}

// clientName is what the client calls itself, cut to a length that can't push the
// rest of a page out of sight; "" where a page of ours asked. An issuer that isn't
// ours tells us no names, only ids.
func (f *Flow) clientName(ctx context.Context, id string) string {
	if id == "" {
		return ""
	}
	name := "client " + id
	if f.ClientName != nil {
		if known := f.ClientName(ctx, id); known != "" {
			name = known
		}
	}
	if runes := []rune(name); len(runes) > 120 {
		name = string(runes[:120]) + "…"
	}
	return name
}

// digest is whose session s is.
func digest(s identity.Session) identity.Digest { return s.Caller().Principal().Digest() }
