package github

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

// addressLength is more bytes of path and query than anything real has.
const addressLength = 6000

// connect is GitHub's client on api. It is made for each call, so that one
// person's rate limit is never another's, and it reports redirects instead of
// following them: GitHub's lead to addresses that no contract lists.
func connect(api *http.Client) (*gh.Client, error) {
	stay := *api
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client, err := gh.NewClient(gh.WithHTTPClient(&stay), gh.WithUserAgent("latchkey"), gh.WithDisableRateLimitCheck())
	if err != nil {
		return nil, fmt.Errorf("github: %w", err)
	}
	return client, nil
}

// get fills into with GitHub's answer at path, which address or a repo's path made.
// Tools read answers into small structs of their own: go-github's types have many
// times as many fields, and take as much longer to fill.
func get(ctx context.Context, client *gh.Client, path string, query url.Values, into any, options ...gh.RequestOption) (*gh.Response, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	if len(path) > addressLength {
		return nil, told("The arguments are too long for a request to GitHub: shorten the longest.")
	}
	return send(ctx, client, http.MethodGet, path, nil, into, options...)
}

// usualAnswer is bytes of room for an answer.
const usualAnswer = 4 << 10

// send is get with a method and a body, which is nil or encoded as JSON. into may
// be nil, or an io.Writer for the answer as it is. Another answer is read as a whole
// before it is decoded: a json.Decoder, whose buffer grows from 512 bytes, takes
// half as long again.
func send(ctx context.Context, client *gh.Client, method, path string, body, into any, options ...gh.RequestOption) (*gh.Response, error) {
	req, err := client.NewRequest(ctx, method, path, body, options...)
	if err != nil {
		return nil, err
	}
	if _, raw := into.(io.Writer); raw || into == nil {
		return client.Do(req, into)
	}
	var text bytes.Buffer
	text.Grow(usualAnswer)
	resp, err := client.Do(req, &text)
	if err == nil && text.Len() > 0 {
		err = json.Unmarshal(text.Bytes(), into)
	}
	return resp, err
}

// accept asks for another of GitHub's media types, like "application/vnd.github.diff".
func accept(kind string) gh.RequestOption {
	return func(req *http.Request) { req.Header.Set("Accept", kind) }
}

// address is a path of one segment for each part, escaped.
func address(parts ...any) string {
	segments := make([]string, len(parts))
	for i, part := range parts {
		segments[i] = url.PathEscape(fmt.Sprint(part))
	}
	return strings.Join(segments, "/")
}

// A repo is a repository's full name, split. Tools take it as one argument, and its
// pattern is here, since a schema is paid for in every conversation:
//
//	Repo string `json:"repo" jsonschema:"owner/name"`
type repo struct{ owner, name string }

var repoName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$`)

// repoOf splits the argument.
func repoOf(argument string) (repo, error) {
	owner, name, _ := strings.Cut(argument, "/")
	if !repoName.MatchString(argument) || dots(owner) || dots(name) {
		return repo{}, told("%q is no repository: repo is its owner and its name, like octocat/hello-world.", line(argument, nameLength))
	}
	return repo{owner, name}, nil
}

// dots reports whether segment is none, or would lead elsewhere in a path.
func dots(segment string) bool { return segment == "" || segment == "." || segment == ".." }

// plain reports whether a contract lets segment through as one of a path.
func plain(segment string) bool {
	return !dots(segment) && !strings.ContainsAny(segment, `/\;%`) && tools.Clean(segment) == segment && !strings.ContainsAny(segment, "\n\t")
}

func (r repo) String() string { return r.owner + "/" + r.name }

// path is an address below the repository's.
func (r repo) path(parts ...any) string {
	return address(append([]any{"repos", r.owner, r.name}, parts...)...)
}

// repoIn is the full name of an issue's repository, from its address in the API or
// that of the page.
func repoIn(api, page string) string {
	if _, name, ok := strings.Cut(api, "/repos/"); ok {
		return name
	}
	parts := strings.Split(page, "/")
	if len(parts) < 5 {
		return ""
	}
	return parts[3] + "/" + parts[4]
}
