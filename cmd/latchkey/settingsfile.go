package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	kongyaml "github.com/alecthomas/kong-yaml"
)

// text is a setting's value. Unlike a string it takes a number or a boolean of a
// YAML file too, and its errors never quote it.
type text string

// Decode implements kong.MapperValue.
func (t *text) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("value")
	if err != nil {
		return err
	}
	switch token.Value.(type) {
	case []any, map[string]any:
		return errors.New("must be a single value")
	}
	*t = text(fmt.Sprint(token.Value))
	return nil
}

// toggle is a boolean setting, kept as it was given so that a wrong value is
// reported together with all other mistakes.
type toggle string

// Decode implements kong.MapperValue.
func (t *toggle) Decode(ctx *kong.DecodeContext) error {
	*t = "true"
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		*t = toggle(strings.ToLower(fmt.Sprint(ctx.Scan.Pop().Value)))
	}
	return nil
}

// IsBool implements kong.BoolMapperValue.
func (t *toggle) IsBool() bool { return true }

func (t toggle) on(flag string, m *mistakes) bool {
	switch t {
	case "true", "yes", "1":
		return true
	case "", "false", "no", "0":
	default:
		m.add(flag, "must be true or false")
	}
	return false
}

// settingsFile reads the file of --config: YAML, one setting a line, named like
// the flags. The parser's own errors are withheld but for the line, because they
// quote the file, which may hold secrets.
func settingsFile(r io.Reader) (kong.Resolver, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	inner, err := kongyaml.Loader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("the settings file is not YAML of the form \"name: value\"%s", line.FindString(err.Error()))
	}
	names, err := topLevelNames(raw)
	return fileResolver{inner, names}, err
}

var (
	line    = regexp.MustCompile(` line \d+`)
	topName = regexp.MustCompile(`^([a-z][a-z0-9-]*):(\s|$)`)
)

// topLevelNames are the names of the settings in a file.
func topLevelNames(raw []byte) ([]string, error) {
	var names []string
	for i, l := range strings.Split(string(raw), "\n") {
		l = strings.TrimRight(l, "\r")
		if l == "" || strings.ContainsAny(l[:1], " \t#-") {
			continue // inside a value, a comment, or "---"
		}
		m := topName.FindStringSubmatch(l)
		if m == nil {
			return nil, fmt.Errorf("the settings file's line %d is not of the form \"name: value\"", i+1)
		}
		names = append(names, m[1])
	}
	return names, nil
}

// fileResolver gives flags their values from the settings file, unless the
// environment has one.
type fileResolver struct {
	inner kong.Resolver
	names []string
}

// Validate implements kong.Resolver: a misspelt setting is a mistake.
func (f fileResolver) Validate(app *kong.Application) error {
	var known []string
	for _, group := range serveNode(app).AllFlags(false) {
		for _, flag := range group {
			known = append(known, flag.Name)
		}
	}
	for _, name := range f.names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("the settings file has an unknown setting %q", name)
		}
	}
	return nil
}

func serveNode(app *kong.Application) *kong.Node {
	i := slices.IndexFunc(app.Children, func(n *kong.Node) bool { return n.Name == "serve" })
	return app.Children[i]
}

// Resolve implements kong.Resolver.
func (f fileResolver) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, ok := os.LookupEnv(env); ok {
			return nil, nil
		}
	}
	// The application's path, so that settings have no "serve" above them.
	return f.inner.Resolve(ctx, &kong.Path{App: ctx.Model}, flag)
}
