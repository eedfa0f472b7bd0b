// Command latchkey is an MCP server whose tools act on the caller's own accounts,
// with a vault inside that releases a credential to nobody else.
//
// "latchkey demo" runs everything with made-up people on this computer;
// "latchkey serve" runs it for real ones. wire.go is the one place that puts the
// parts together.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(program{stdout: os.Stdout, stderr: os.Stderr}.Run(ctx, os.Args[1:]))
}

// A program is latchkey without the process around it.
type program struct{ stdout, stderr io.Writer }

// Run does what args say until it is done or ctx ends. It returns the exit code:
// 0, 1 where the program could not do its work, 2 where args make no sense.
func (p program) Run(ctx context.Context, args []string) int {
	command, err := p.parse(args)
	if err == nil && command != nil {
		err = command.run(ctx, p)
	}
	return p.report(err)
}
