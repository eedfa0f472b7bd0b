package github

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	gh "github.com/google/go-github/v89/github"
)

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
func get(ctx context.Context, client *gh.Client, path string, query url.Values, into any) (*gh.Response, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return send(ctx, client, http.MethodGet, path, nil, into)
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

// A repo is a repository's full name, split. Tools take it as one argument:
//
//	Repo string `json:"repo" jsonschema:"owner/name" pattern:"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$" maxLength:"140"`
type repo struct{ owner, name string }

// repoOf splits the argument, whose pattern is the schema's part of the check.
func repoOf(argument string) (repo, error) {
	owner, name, ok := strings.Cut(argument, "/")
	if !ok || dots(owner) || dots(name) {
		return repo{}, told("%q is no repository: repo is its owner and its name, like octocat/hello-world.", argument)
	}
	return repo{owner, name}, nil
}

// dots reports whether segment is none, or would lead elsewhere in a path.
func dots(segment string) bool { return segment == "" || segment == "." || segment == ".." }

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
