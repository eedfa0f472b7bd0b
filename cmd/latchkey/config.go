package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"
)

// version is the release; the build stamps it with -ldflags "-X main.version=…".
var version = "0.1.0-dev"

// commandLine is every command and setting. A flag's value comes from the command
// line, else from the environment, else from the file that --config names.
type commandLine struct {
	Demo    demoCommand    `cmd:"" help:"Try Latchkey: made-up people and accounts, on this computer only."`
	Serve   serveCommand   `cmd:"" help:"Serve people and their real accounts."`
	Tools   toolsCommand   `cmd:"" help:"Print every tool: what it does, needs and may send."`
	Audit   auditCommand   `cmd:"" help:"Check or read the record of what was released."`
	Keys    keysCommand    `cmd:"" help:"Change the vault's keys while it serves."`
	Backup  backupCommand  `cmd:"" help:"Write the vault, which may be in use, to a file. The keys are not in it."`
	Restore restoreCommand `cmd:"" help:"Make a vault of such a file."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// A command is what a command line asks for.
type command interface {
	run(ctx context.Context, p program) error
}

// parse is the command that args ask for, or nil where help was all they wanted.
func (p program) parse(args []string) (command, error) {
	var line commandLine
	helped := false
	parser, err := kong.New(&line,
		kong.Name("latchkey"),
		kong.Description("An MCP server whose tools act on the caller's own accounts."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helped = true }),
		kong.Configuration(settingsFile),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(func(v *kong.Value) string { return v.Help }), // the environment has a rule
		kong.ExplicitGroups([]kong.Group{
			{Key: "people", Title: "Where people sign in, one of two:"},
			{Key: "github", Title: "GitHub, with the redirect URI PUBLIC-URL/callback/github:"},
			{Key: "google", Title: "Google, with the redirect URI PUBLIC-URL/callback/google:"},
		}),
	)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(args)
	if helped {
		return nil, nil
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("%w (see latchkey --help)", err)}
	}
	chosen, ok := parsed.Selected().Target.Addr().Interface().(command)
	if !ok {
		return nil, errors.New("no such command")
	}
	return chosen, nil
}

type versionCommand struct{}

func (versionCommand) run(_ context.Context, p program) error {
	_, err := fmt.Fprintln(p.stdout, "latchkey", version)
	return err
}
