package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the journeys in testdata/script against the built program. In
// them, "demo" starts and stops it, and alice and bob do what the sentences below
// say: each is one person with a browser and an MCP client.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			w := &world{data: filepath.Join(env.WorkDir, "data"), people: map[string]*person{}}
			var err error
			if w.addr, err = freeLoopback(); err != nil {
				return err
			}
			env.Values["world"] = w
			env.Setenv("ADDR", w.addr)
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			env.Defer(func() { _ = w.stop() })
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"demo":  demoDoes,
			"alice": personDoes("alice"),
			"bob":   personDoes("bob"),
			// "promote FILE" promotes the key that FILE, the output of "keys add", names.
			"promote": func(ts *testscript.TestScript, _ bool, args []string) {
				id := regexp.MustCompile(`promote (\d+)`).FindStringSubmatch(ts.ReadFile(args[0]))[1]
				ts.Check(ts.Exec("latchkey", "keys", "promote", "--data", "data", id))
			},
		},
	})
}

// A world is one script's demo and its people.
type world struct {
	addr, data string
	process    *exec.Cmd
	people     map[string]*person
}

func (w *world) base() string { return "http://" + w.addr }

// start runs the program and waits until it has said all that it says.
func (w *world) start() error {
	w.process = exec.Command("latchkey", "demo", "--listen", w.addr)
	if w.data != "" {
		w.process.Args = append(w.process.Args, "--data", w.data)
	}
	w.process.Stderr = os.Stderr
	out, err := w.process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := w.process.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ctrl-C") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return nil
		}
	}
	return errors.New("the demo ended before it was ready")
}

// stop presses Ctrl-C and wants a clean end.
func (w *world) stop() error {
	if w.process == nil {
		return nil
	}
	p := w.process
	w.process = nil
	if err := p.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return p.Wait()
}

// demoDoes is "demo starts", "demo stops" and "demo restarts".
func demoDoes(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value("world").(*world)
	switch strings.Join(args, " ") {
	case "starts":
		ts.Check(w.start())
	case "stops":
		ts.Check(w.stop())
	case "restarts":
		ts.Check(w.stop())
		ts.Check(w.start())
	default:
		ts.Fatalf("the demo doesn't know how to %q", args)
	}
}

// personDoes is a person's command: the sentence that its arguments make.
func personDoes(name string) func(ts *testscript.TestScript, neg bool, args []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		w := ts.Value("world").(*world)
		if w.people[name] == nil {
			w.people[name] = newPerson(name, w.base(), plain)
		}
		said := strings.Join(args, " ")
		for _, s := range sentences {
			if m := regexp.MustCompile("^(?s:" + s.pattern + ")$").FindStringSubmatch(said); m != nil {
				err := s.do(w, w.people[name], m[1:])
				if neg && err == nil {
					ts.Fatalf("%s %s, but must not", name, said)
				} else if !neg {
					ts.Check(err)
				}
				return
			}
		}
		ts.Fatalf("nobody knows how to %q", said)
	}
}

// A sentence is what a person can do or notice.
type sentence struct {
	pattern string
	do      func(w *world, p *person, words []string) error
}

var sentences = []sentence{
	{`adds Latchkey to an? (modern|forming|eliciting|plain) client`, func(w *world, p *person, m []string) error {
		p.client = newMCPClient(w.base(), dialect(m[0]))
		return p.signIn()
	}},
	{`asks for a token for (\S+)`, func(w *world, p *person, m []string) error {
		p.client.resource = m[0]
		return p.signIn()
	}},
	{`uses a token that another Latchkey gave (?:her|him)`, func(w *world, p *person, m []string) error {
		token, err := tokenFromElsewhere(w, p.name)
		p.client.token = token
		return err
	}},
	{`calls (\w+) with (\{.*\})`, func(w *world, p *person, m []string) error {
		return p.call(m[0], json.RawMessage(m[1]))
	}},
	{`is asked to (connect|approve), by (input_required|error -32042|text)`, func(w *world, p *person, m []string) error {
		want := strings.TrimPrefix(m[1], "error ")
		if p.last.Channel != want || !strings.HasPrefix(p.last.Link, w.base()+"/"+m[0]+"/") {
			return fmt.Errorf("asked by %q to open %q: %s", p.last.Channel, p.last.Link, p.last.Body)
		}
		return nil
	}},
	{`is shown a form with (.+)`, func(w *world, p *person, m []string) error {
		if p.last.Channel != "input_required" || !strings.Contains(p.last.Form, m[0]) {
			return fmt.Errorf("asked by %q with %q: %s", p.last.Channel, p.last.Form, p.last.Body)
		}
		return nil
	}},
	{`opens (?:her|his) link`, func(w *world, p *person, m []string) error {
		return p.openLink(p.last.Link)
	}},
	{`opens the link of (\w+)`, func(w *world, p *person, m []string) error {
		return p.openLink(w.people[m[0]].last.Link)
	}},
	{`opens (/\S*)`, func(w *world, p *person, m []string) error {
		return p.openLink(w.base() + m[0])
	}},
	{`picks (.+) and presses (.+)`, func(w *world, p *person, m []string) error {
		return p.visitor.pick(m[0], m[1])
	}},
	{`presses (.+)`, func(w *world, p *person, m []string) error {
		return p.visitor.press(m[0])
	}},
	{`chooses (?:her|his) own account`, func(w *world, p *person, m []string) error {
		return p.visitor.press("#as-" + p.name)
	}},
	{`sees (.+)`, func(w *world, p *person, m []string) error {
		return p.visitor.sees(m[0])
	}},
	{`is shown status (\d+)`, func(w *world, p *person, m []string) error {
		return isStatus(p.visitor.status, m[0], p.visitor.String())
	}},
	{`(accept|decline|cancel)s`, func(w *world, p *person, m []string) (err error) {
		p.last, err = p.client.retry(p.last, m[0])
		return err
	}},
	{`gets (.+)`, func(w *world, p *person, m []string) error {
		if p.last.IsError || p.last.Channel != "" || !strings.Contains(p.last.Text, m[0]) {
			return fmt.Errorf("got %d: %s", p.last.Status, p.last.Body)
		}
		return nil
	}},
	{`is told (.+)`, func(w *world, p *person, m []string) error {
		if !p.last.IsError || !strings.Contains(p.last.Text, m[0]) {
			return fmt.Errorf("told: %s", p.last.Body)
		}
		return nil
	}},
	{`is answered (\d+)`, func(w *world, p *person, m []string) error {
		return isStatus(p.last.Status, m[0], p.last.Body)
	}},
	{`takes over the session of (\w+)`, func(w *world, p *person, m []string) error {
		p.client.session = w.people[m[0]].client.session
		if p.client.session == "" {
			return errors.New("there is no session to take over")
		}
		return nil
	}},
	{`sends (GET|DELETE) in the session`, func(w *world, p *person, m []string) error {
		return p.sendBare(m[0])
	}},
}

// tokenFromElsewhere is a good token of a second demo: of another issuer, for
// another audience, for somebody with the same subject.
func tokenFromElsewhere(w *world, name string) (string, error) {
	addr, err := freeLoopback()
	if err != nil {
		return "", err
	}
	other := &world{addr: addr, data: w.data + "-elsewhere"}
	if err := other.start(); err != nil {
		return "", err
	}
	p := newPerson(name, other.base(), plain)
	err = p.signIn()
	return p.client.token, errors.Join(err, other.stop())
}

// sendBare sends a request without a body in the client's session.
func (p *person) sendBare(method string) error {
	req, err := http.NewRequest(method, p.client.base+"/mcp", nil)
	if err != nil {
		return err
	}
	p.client.headers(req.Header, method, nil)
	res, err := p.client.http.Do(req)
	if err != nil {
		return err
	}
	p.last = answer{Status: res.StatusCode}
	return res.Body.Close()
}

func isStatus(got int, want, shown string) error {
	if strconv.Itoa(got) != want {
		return fmt.Errorf("status %d, not %s: %s", got, want, shown)
	}
	return nil
}
