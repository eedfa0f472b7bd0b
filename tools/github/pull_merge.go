package github

import (
	"context"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

func mergePullRequest() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_merge_pull_request",
		Title:       "Merge a pull request",
		Description: "Merge a pull request on GitHub, if its head is the expected one. Not for closing one (github_write_pull_request).",
		Can:         "Merge pull requests in repositories that you may push to",
		Provider:    provider,
		Scopes:      []string{scope},
		Destructive: true, // the base branch moves for everyone
		Egress: []tools.Rule{
			{Method: http.MethodPut, Host: host, Path: "/repos/{owner}/{repo}/pulls/{number}/merge"},
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/pulls/{number}"},
		},
	}, merge)
}

type mergeInput struct {
	Repo         string `json:"repo" jsonschema:"owner/name"`
	Number       int    `json:"number" jsonschema:"pull request"`
	ExpectedHead string `json:"expected_head_sha" jsonschema:"the head to merge"`
	Method       string `json:"method,omitempty" jsonschema:"default merge" enum:"merge,squash,rebase"`
	Message      string `json:"commit_message,omitempty" jsonschema:"first line: title"`
}

type mergeOutput struct {
	SHA string `json:"sha"`
}

func merge(ctx context.Context, api *http.Client, in mergeInput) (mergeOutput, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return mergeOutput{}, err
	}
	if err := in.check(); err != nil {
		return mergeOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return mergeOutput{}, err
	}
	var out struct {
		SHA    string `json:"sha"`
		Merged bool   `json:"merged"`
	}
	if _, err := send(ctx, client, http.MethodPut, repo.path("pulls", in.Number, "merge"), in.body(), &out); err != nil {
		return mergeOutput{}, in.fault(ctx, client, repo, err)
	}
	if !out.Merged {
		return mergeOutput{}, unclear(lookAtPull)
	}
	return mergeOutput{out.SHA}, nil
}

// check holds what the schema can't say.
func (in mergeInput) check() error {
	if in.Method == "rebase" && in.Message != "" {
		return told("A rebase keeps the commits' own messages: leave commit_message out.")
	}
	return checkSHA("expected_head_sha", in.ExpectedHead)
}

func (in mergeInput) body() any {
	method := in.Method
	if method == "" {
		method = "merge"
	}
	body := struct {
		SHA     string  `json:"sha"`
		Method  string  `json:"merge_method"`
		Title   string  `json:"commit_title,omitempty"`
		Message *string `json:"commit_message,omitempty"`
	}{SHA: in.ExpectedHead, Method: method}
	if title, rest, _ := strings.Cut(strings.TrimSpace(in.Message), "\n"); title != "" {
		rest = strings.TrimSpace(rest) // sent when blank too, or GitHub would write its own
		body.Title, body.Message = strings.TrimSpace(title), &rest
	}
	return body
}

// fault looks at the pull request where GitHub says little of why it isn't merged.
func (in mergeInput) fault(ctx context.Context, client *gh.Client, repo repo, err error) error {
	about := pullNamed(in.Repo, in.Number)
	if says(err, http.StatusForbidden, "`workflow` scope") {
		return told("%s changes workflow files: GitHub wants the scope workflow for that, which Latchkey doesn't ask for. A person can merge it on its page.", about)
	}
	answer, refused := refusedWith(err, http.StatusConflict, http.StatusMethodNotAllowed)
	if !refused {
		return writeFault(ctx, err, about, lookAtPull)
	}
	var now pullState
	if _, err := get(ctx, client, repo.path("pulls", in.Number), nil, &now); err != nil {
		return told("%s isn't merged: %s.", about, reasons(answer))
	}
	if now.State == "open" && now.Head.SHA != in.ExpectedHead {
		return moved(about, now.Head.SHA, in.ExpectedHead, "expected_head_sha")
	}
	return told("%s isn't merged: %s. %s", about, reasons(answer), now.hindrance())
}

// hindrance is what keeps the pull request from being merged, and what to do.
func (p pullState) hindrance() string {
	switch {
	case p.Merged:
		return "It was merged before: there is nothing left to do."
	case p.State == "closed":
		return "It is closed: open it again with github_write_pull_request first."
	case p.Draft:
		return "It is a draft: a person must mark it as ready on its page first."
	}
	switch p.MergeableState {
	case "dirty":
		return "It conflicts with its base branch: the conflict must be resolved on its head branch first."
	case "behind":
		return "Its head branch lacks commits of its base branch: it must be updated first."
	case "blocked":
		return "Its base branch is protected: reviews or checks that it requires are missing."
	case "unknown":
		return "GitHub is still working out whether it can be merged: try again in a few seconds."
	}
	return "Try another method, or look at its checks with github_read_pull_request."
}
