package github

import (
	"context"
	"fmt"
	"net/http"

	"github.com/latchkey-mcp/latchkey/tools"
)

func writeComment() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_comment",
		Title:       "Comment",
		Description: "Comment on a GitHub issue or pull request. Not for lines of a diff (github_review_pull_request).",
		Can:         "Comment on issues and pull requests in your name",
		Provider:    provider,
		Scopes:      []string{scope},
		Egress:      []tools.Rule{{Method: http.MethodPost, Host: host, Path: "/repos/{owner}/{repo}/issues/{number}/comments"}},
	}, sendComment)
}

type writeCommentInput struct {
	Repo           string `json:"repo" jsonschema:"owner/name"`
	Number         int    `json:"number" jsonschema:"issue or pull request"`
	Body           string `json:"body" jsonschema:"Markdown"`
	IdempotencyKey string `json:"idempotency_key,omitempty" jsonschema:"makes a retry safe" pattern:"^[\\w.-]{1,64}$"`
}

type writeCommentOutput struct {
	URL string `json:"url"`
}

func sendComment(ctx context.Context, api *http.Client, in writeCommentInput) (writeCommentOutput, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return writeCommentOutput{}, err
	}
	if blank(&in.Body) {
		return writeCommentOutput{}, told("The body is blank: GitHub takes no empty comment.")
	}
	client, err := connect(api)
	if err != nil {
		return writeCommentOutput{}, err
	}
	body := struct {
		Body string `json:"body"`
	}{in.Body}
	var made struct {
		HTMLURL string `json:"html_url"`
	}
	if _, err := send(ctx, client, http.MethodPost, repo.path("issues", in.Number, "comments"), body, &made); err != nil {
		about := fmt.Sprintf("Issue or pull request %d of %s", in.Number, in.Repo)
		return writeCommentOutput{}, writeFault(ctx, err, about, "look with github_read_issue")
	}
	if made.HTMLURL == "" {
		return writeCommentOutput{}, unclear("look with github_read_issue")
	}
	return writeCommentOutput{made.HTMLURL}, nil
}
