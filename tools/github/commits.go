package github

import (
	"context"
	"net/http"
	"net/url"
	"time"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

const commitSize = 30 // commits in an answer

func listCommits() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_list_commits",
		Title:       "List commits",
		Description: "A branch's or a file's commits, newest first, by title. Not for their changes (github_get_commit).",
		Can:         "Read the history of public repositories and of those that you can see",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{{
			Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/commits",
			Query: []string{"sha", "path", "author", "since", "until", "page", "per_page"},
		}},
	}, commits)
}

type commitsInput struct {
	Repo   string `json:"repo" jsonschema:"owner/name"`
	Ref    string `json:"ref,omitempty" jsonschema:"branch, tag or SHA"`
	Path   string `json:"path,omitempty" jsonschema:"file or directory"`
	Author string `json:"author,omitempty" jsonschema:"login or e-mail"`
	Since  string `json:"since,omitempty" jsonschema:"date, or time with zone"`
	Until  string `json:"until,omitempty" jsonschema:"likewise, exclusive"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`
}

type commitsOutput struct {
	Commits    []listedCommit `json:"commits"`
	NextCursor string         `json:"next_cursor,omitempty"`
	Untrusted  string         `json:"untrusted"`
}

type listedCommit struct {
	SHA    string `json:"sha"`
	Title  string `json:"title"`
	Author string `json:"author"`
	Date   string `json:"date"`
}

// A commit is what the tools read of GitHub's answers. Author is null where GitHub
// knows no account for the address in the commit.
type commit struct {
	SHA    string  `json:"sha"`
	Author account `json:"author"`
	Commit struct {
		Message string `json:"message"`
		Author  struct {
			Name string `json:"name"`
		} `json:"author"`
		Committer struct {
			Date *gh.Timestamp `json:"date"`
		} `json:"committer"`
	} `json:"commit"`
	Files []commitFile `json:"files"`
}

// who is the author's login, or the name that the commit has.
func (c commit) who() string {
	if c.Author.Login != "" {
		return c.Author.Login
	}
	return line(c.Commit.Author.Name, nameLength)
}

func commits(ctx context.Context, api *http.Client, in commitsInput) (commitsOutput, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return commitsOutput{}, err
	}
	at, err := placeIn(ctx, in.Cursor)
	if err != nil {
		return commitsOutput{}, err
	}
	query, err := in.query(at)
	if err != nil {
		return commitsOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return commitsOutput{}, err
	}
	var page []commit
	resp, err := get(ctx, client, repo.path("commits"), query, &page)
	if status(err) == http.StatusConflict {
		return commitsOutput{}, told("The repository %s is empty: it has no commits yet.", repo)
	}
	if err != nil {
		about := "The repository " + in.Repo
		if in.Ref != "" {
			about = line(in.Ref, refLength) + " in " + in.Repo
		}
		return commitsOutput{}, fault(ctx, err, about)
	}
	list, cursor, err := cut(ctx, at, each(page, listedIn), resp.NextPage, room)
	return commitsOutput{Commits: list, NextCursor: cursor, Untrusted: tools.Untrusted}, err
}

func listedIn(c commit) listedCommit {
	return listedCommit{SHA: c.SHA, Title: firstLine(c.Commit.Message, titleLength), Author: c.who(), Date: when(c.Commit.Committer.Date)}
}

func (in commitsInput) query(at place) (url.Values, error) {
	query := at.query(commitSize)
	for name, value := range map[string]string{"sha": in.Ref, "path": in.Path, "author": in.Author} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, value := range map[string]string{"since": in.Since, "until": in.Until} {
		t, err := moment(name, value)
		if err != nil {
			return nil, err
		}
		if t != "" {
			query.Set(name, t)
		}
	}
	return query, nil
}

// moment is the time in text as GitHub takes it, "" for none. A date is its start
// in UTC.
func moment(name, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Format(time.RFC3339), nil
		}
	}
	return "", told("%s is %q: give a date like 2026-01-31, or a time with its zone like 2026-01-31T09:00:00Z.", name, line(text, 40))
}
