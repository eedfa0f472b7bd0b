package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// maxBody is more than any client of ours has to say.
const maxBody = 1 << 20

// A call is one request being answered, while the sandbox is locked.
type call struct {
	*http.Request
	body  []byte
	base  string // this origin, as the client called it
	raw   string // the presented API token
	token *token // what raw is, in API calls that got that far
	who   string // the account, for the log of exchanges
}

// An answer is what a handler says. A body of []byte is sent as it is, another one
// as JSON.
type answer struct {
	status int
	header http.Header
	body   any
}

type handler func(*call) answer

// serve reads the body, locks the sandbox, answers, and keeps what changed before
// the client hears of it.
func (s *Sandbox) serve(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "The request's body can't be read.", http.StatusBadRequest)
			return
		}
		s.locked(&call{Request: r, body: body, base: origin(r)}, h).write(w)
	})
}

func (s *Sandbox) locked(c *call, h handler) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := h(c)
	if err := s.save(); err != nil {
		return text(http.StatusInternalServerError, "The sandbox can't write its state file: "+err.Error())
	}
	return a
}

func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (a answer) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Cache-Control", "no-store")
	body, ok := a.body.([]byte)
	if !ok && a.body != nil {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		body, _ = json.Marshal(a.body)
	}
	w.WriteHeader(a.status)
	w.Write(body)
}

// with is a with one more header, unless that is empty.
func (a answer) with(name, value string) answer {
	if value == "" {
		return a
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(name, value)
	return a
}

func text(status int, s string) answer {
	return answer{status: status, body: []byte(s + "\n")}.with("Content-Type", "text/plain; charset=utf-8")
}

// redirect sends the browser to uri with extra parameters.
func redirect(uri string, extra url.Values) answer {
	u, err := url.Parse(uri)
	if err != nil {
		return text(http.StatusInternalServerError, "The registered redirect URI is no URL.")
	}
	q := u.Query()
	for name, values := range extra {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	return answer{status: http.StatusFound}.with("Location", u.String())
}

// form is the body as a form; anything else is an empty one.
func (c *call) form() url.Values {
	if !strings.HasPrefix(c.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return url.Values{}
	}
	v, err := url.ParseQuery(string(c.body))
	if err != nil {
		return url.Values{}
	}
	return v
}

// exactPaths answers 404 for paths that a mux would clean and redirect: a client
// that sends them has a bug, and a redirect would hide it.
func exactPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clean := path.Clean(r.URL.Path)
		if clean != r.URL.Path && clean+"/" != r.URL.Path {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// below puts prefix before the path of a mux pattern.
func below(prefix, pattern string) string {
	method, path, _ := strings.Cut(pattern, " ")
	return method + " " + prefix + path
}
