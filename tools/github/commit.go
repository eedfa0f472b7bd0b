package github

import (
	"context"
	"fmt"
	"net/http"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	commitFiles   = 100  // files of a commit that one request brings
	messageLength = 4000 // bytes of a message as JSON
	patchLength   = 8000 // bytes of a file's patch as JSON
)

func getCommit() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_get_commit",
		Title:       "Read a commit",
		Description: "A commit's message, and the patch of each file. Not for pull requests.",
		Can:         "Read changes in public repositories and in those that you can see",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{{
			Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/commits/{ref}", Query: []string{"page", "per_page"},
		}},
	}, readCommit)
}

type commitInput struct {
	Repo   string `json:"repo" jsonschema:"owner/name"`
	Ref    string `json:"ref" jsonschema:"SHA, or a branch or tag without slash"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`
}

type commitOutput struct {
	SHA              string    `json:"sha"`
	Message          string    `json:"message,omitempty"`
	MessageTruncated bool      `json:"message_truncated,omitempty"`
	Author           string    `json:"author"`
	Date             string    `json:"date"`
	Files            []changed `json:"files"`
	NextCursor       string    `json:"next_cursor,omitempty"`
	Untrusted        string    `json:"untrusted"`
}

// A changed file is one of a commit's.
type changed struct {
	Path           string `json:"path"`
	PreviousPath   string `json:"previous_path,omitempty"`
	Status         string `json:"status"`
	Patch          string `json:"patch,omitempty"`
	PatchTruncated bool   `json:"patch_truncated,omitempty"`
}

// A commitFile is what the tool reads of GitHub's answer. Patch is not there for
// what is binary or too large.
type commitFile struct {
	Filename         string `json:"filename"`
	PreviousFilename string `json:"previous_filename"`
	Status           string `json:"status"`
	Patch            string `json:"patch"`
}

func readCommit(ctx context.Context, api *http.Client, in commitInput) (commitOutput, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return commitOutput{}, err
	}
	if !plain(in.Ref) {
		return commitOutput{}, told("%q can't be read as a commit: give its SHA, which github_list_commits has for any branch or tag.", line(in.Ref, refLength))
	}
	at, err := placeIn(ctx, in.Cursor)
	if err != nil {
		return commitOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return commitOutput{}, err
	}
	var c commit
	resp, err := get(ctx, client, repo.path("commits", in.Ref), at.query(commitFiles), &c)
	if err != nil {
		return commitOutput{}, fault(ctx, err, fmt.Sprintf("Commit %s of %s", in.Ref, in.Repo))
	}
	out := commitOutput{SHA: c.SHA, Author: c.who(), Date: when(c.Commit.Committer.Date), Untrusted: tools.Untrusted}
	if in.Cursor == "" { // an answer with one goes on behind the message
		out.Message, out.MessageTruncated = clipJSON(c.Commit.Message, messageLength)
	}
	out.Files, out.NextCursor, err = cut(ctx, at, each(c.Files, changedIn), resp.NextPage, room-messageLength)
	return out, err
}

func changedIn(f commitFile) changed {
	out := changed{Path: tools.Clean(f.Filename), PreviousPath: tools.Clean(f.PreviousFilename), Status: f.Status}
	out.Patch, out.PatchTruncated = clipJSON(f.Patch, patchLength)
	return out
}
