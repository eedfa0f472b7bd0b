package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/latchkey-mcp/latchkey/tools"
)

// toolFlags choose the tools that are served.
type toolFlags struct {
	ReadOnly toggle `name:"read-only" env:"LATCHKEY_READ_ONLY" help:"Serve only tools that can't change anything, whatever else is set."`
	Allow    []text `name:"allow-tool" placeholder:"NAME" env:"LATCHKEY_ALLOW_TOOL" help:"Serve this tool, or this module's, and no others but those of further --allow-tool."`
	Deny     []text `name:"deny-tool" placeholder:"NAME" env:"LATCHKEY_DENY_TOOL" help:"Don't serve this tool, or this module's. May be repeated."`
}

// choose is what the flags leave of modules; denying wins over allowing.
func (f toolFlags) choose(modules []tools.Module, m *mistakes) []tools.Module {
	readOnly := f.ReadOnly.on("read-only", m)
	f.checkNames(modules, m)
	var left []tools.Module
	for _, module := range modules {
		module.Tools = slices.DeleteFunc(slices.Clone(module.Tools), func(t tools.Tool) bool {
			spec := t.Spec()
			return readOnly && !spec.ReadOnly || names(f.Deny, module, spec) || len(f.Allow) > 0 && !names(f.Allow, module, spec)
		})
		if len(module.Tools) > 0 {
			left = append(left, module)
		}
	}
	if len(left) == 0 && len(*m) == 0 {
		m.add("allow-tool", "no tool is left with these settings and %s and %s", setting("deny-tool"), setting("read-only"))
	}
	return left
}

// names reports whether list has the tool's name or its module's.
func names(list []text, module tools.Module, spec tools.Spec) bool {
	return slices.Contains(list, text(spec.Name)) || slices.Contains(list, text(module.Name))
}

// checkNames finds names that nothing has: one that is misspelt would deny nothing.
func (f toolFlags) checkNames(modules []tools.Module, m *mistakes) {
	var known []text
	for _, module := range modules {
		known = append(known, text(module.Name))
		for _, t := range module.Tools {
			known = append(known, text(t.Spec().Name))
		}
	}
	for flag, list := range map[string][]text{"allow-tool": f.Allow, "deny-tool": f.Deny} {
		for _, name := range list {
			if !slices.Contains(known, name) {
				m.add(flag, "there is no tool or module %q (see latchkey tools)", name)
			}
		}
	}
}

// An appKind is what an operator's client at GitHub is.
type appKind text

const (
	oauthApp       appKind = "oauth-app"
	oauthAppPublic appKind = "oauth-app-public"
	gitHubApp      appKind = "github-app"
)

func (k appKind) known() bool { return k == oauthApp || k == oauthAppPublic || k == gitHubApp }

// modules are those that a client of the kind can serve. To read what is public
// takes no scope of an OAuth App, and to change it public_repo. A GitHub App has
// permissions instead of scopes, and its user tokens don't reach notifications.
func (k appKind) modules(all []tools.Module) []tools.Module {
	list := slices.Clone(all)
	for i, module := range list {
		if module.Provider != "github" || k == oauthApp {
			continue
		}
		list[i].Tools = nil
		for _, t := range module.Tools {
			spec := t.Spec()
			private := slices.Contains(spec.Scopes, "repo")
			switch {
			case k == gitHubApp && spec.Name == "github_list_notifications":
				continue
			case k == gitHubApp, k == oauthAppPublic && private && spec.ReadOnly:
				t = t.Needing()
			case k == oauthAppPublic && private:
				t = t.Needing("public_repo")
			}
			list[i].Tools = append(list[i].Tools, t)
		}
	}
	return list
}

// toolsCommand is "latchkey tools": what an operator reads before serving them.
type toolsCommand struct {
	Tools     toolFlags `embed:""`
	GitHubApp text      `name:"github-app-kind" placeholder:"KIND" default:"oauth-app" env:"LATCHKEY_GITHUB_APP_KIND" help:"Whose tools: those of an oauth-app, an oauth-app-public, or a github-app."`
	JSON      bool      `name:"json" help:"As JSON, one array."`
}

func (c *toolsCommand) run(_ context.Context, p program) error {
	var m mistakes
	kind := appKind(c.GitHubApp)
	if !kind.known() {
		m.add("github-app-kind", "must be oauth-app, oauth-app-public or github-app, not %q", c.GitHubApp)
	}
	modules := c.Tools.choose(kind.modules(allModules()), &m)
	if err := m.err(); err != nil {
		return err
	}
	var list []toolView
	for _, module := range modules {
		for _, t := range module.Tools {
			list = append(list, viewOf(module, t))
		}
	}
	if c.JSON {
		return printJSON(p.stdout, list)
	}
	for _, v := range list {
		v.print(p.stdout)
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

// A toolView is all that there is to know of a tool.
type toolView struct {
	Name        string          `json:"name"`
	Module      string          `json:"module"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Can         string          `json:"can"`
	Provider    string          `json:"provider"`
	ReadOnly    bool            `json:"read_only"`
	Destructive bool            `json:"destructive"`
	Idempotent  bool            `json:"idempotent"`
	Scopes      []string        `json:"scopes"`
	Egress      []string        `json:"egress"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output"`
}

func viewOf(module tools.Module, t tools.Tool) toolView {
	s := t.Spec()
	return toolView{
		s.Name, module.Name, s.Title, s.Description, s.Can, s.Provider, s.ReadOnly, s.Destructive, s.Idempotent,
		append([]string{}, s.Scopes...), contractLines(s.Egress), t.InputSchema(), t.OutputSchema(),
	}
}

// contractLines are the rules, one a line: method, URL template, query names, and of a
// POST that it is Safe; behind each the hosts to which it may be redirected.
func contractLines(contract []tools.Rule) (lines []string) {
	for _, r := range contract {
		line := r.Method + " https://" + r.Host + r.Path
		if len(r.Query) > 0 {
			line += "?" + strings.Join(r.Query, "&")
		}
		if r.Safe {
			line += " (changes nothing)"
		}
		lines = append(lines, line)
		for _, host := range r.Redirects {
			lines = append(lines, "GET https://"+host+" where the one before redirects, without the credential")
		}
	}
	return lines
}

func (v toolView) print(w io.Writer) {
	does := "writes"
	switch {
	case v.ReadOnly:
		does = "reads"
	case v.Destructive:
		does = "writes, and can replace or delete"
	}
	fmt.Fprintf(w, "%s: %s\n  %s\n  %s\n  for people: %s\n", v.Name, v.Title, does, v.Description, v.Can)
	scopes := "none"
	if len(v.Scopes) > 0 {
		scopes = strings.Join(v.Scopes, " ")
	}
	fmt.Fprintf(w, "  %s scopes: %s\n", v.Provider, scopes)
	for _, line := range v.Egress {
		fmt.Fprintf(w, "  sends: %s\n", line)
	}
	fmt.Fprintf(w, "  takes: %s\n  returns: %s\n\n", v.Input, v.Output)
}
