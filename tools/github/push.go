package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

func pushFiles() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "github_push_files",
		Title: "Commit files",
		Description: "Add, replace and delete text files on a branch at GitHub in one commit, never by force. " +
			"Not for workflows or binary files.",
		Can:         "Commit to branches of repositories that you may push to: add, replace and delete files",
		Provider:    provider,
		Scopes:      []string{scope},
		Destructive: true, // files are replaced and deleted
		Egress: []tools.Rule{
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/git/ref/heads/{branch...}"},
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/git/commits/{sha}"},
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/git/trees/{sha}"},
			{Method: http.MethodPost, Host: host, Path: "/repos/{owner}/{repo}/git/trees"},
			{Method: http.MethodPost, Host: host, Path: "/repos/{owner}/{repo}/git/commits"},
			{Method: http.MethodPatch, Host: host, Path: "/repos/{owner}/{repo}/git/refs/heads/{branch...}"},
		},
	}, push)
}

type pushInput struct {
	Repo         string     `json:"repo" jsonschema:"owner/name"`
	Branch       string     `json:"branch" jsonschema:"an existing one"`
	ExpectedHead string     `json:"expected_head_sha" jsonschema:"the branch's head, to build on"`
	Message      string     `json:"message" jsonschema:"commit message"`
	Files        []pushFile `json:"files,omitempty" jsonschema:"to add or replace"`
	Delete       []string   `json:"delete,omitempty" jsonschema:"paths"`
}

type pushFile struct {
	Path    string `json:"path" jsonschema:"from the root"`
	Content string `json:"content" jsonschema:"whole text"`
}

type pushOutput struct {
	SHA string `json:"sha"`
	URL string `json:"url"`
}

// A pusher is one push on its way. Until it moves the branch, what it made at
// GitHub belongs to nothing, and nobody sees it.
type pusher struct {
	pushInput
	client *gh.Client
	repo   repo
}

func push(ctx context.Context, api *http.Client, in pushInput) (pushOutput, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return pushOutput{}, err
	}
	if err := in.check(); err != nil {
		return pushOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return pushOutput{}, err
	}
	p := pusher{in, client, repo}
	commit, err := p.prepare(ctx)
	if err != nil {
		return pushOutput{}, unmoved(err)
	}
	tellProgress(ctx, 4, "The commit is made")
	return p.move(ctx, commit)
}

// pushSteps is what a client that asks for progress is told of.
const pushSteps = 5

func tellProgress(ctx context.Context, done float64, message string) {
	tools.Info(ctx).Progress(done, pushSteps, message)
}

// unmoved adds to what a model is told that nothing happened.
func unmoved(err error) error {
	if told, ok := errors.AsType[*tools.Error](err); ok {
		return &tools.Error{Message: told.Message + " The branch is as it was: nothing of this push is in it."}
	}
	return err
}

// A gitCommit is what is read of a commit.
type gitCommit struct {
	SHA     string `json:"sha"`
	HTMLURL string `json:"html_url"`
	Tree    struct {
		SHA string `json:"sha"`
	} `json:"tree"`
}

// prepare makes the commit, on the branch's expected head.
func (p pusher) prepare(ctx context.Context) (gitCommit, error) {
	head, err := headOf(ctx, p.client, p.repo, p.Branch)
	if err != nil {
		return gitCommit{}, err
	}
	if head != p.ExpectedHead {
		return gitCommit{}, moved(p.about(), head, p.ExpectedHead, "expected_head_sha")
	}
	var before gitCommit
	if _, err := get(ctx, p.client, p.repo.path("git", "commits", head), nil, &before); err != nil {
		return gitCommit{}, fault(ctx, err, "Commit "+head+" of "+p.Repo)
	}
	if !fullSHA.MatchString(before.Tree.SHA) {
		return gitCommit{}, odd(p.about())
	}
	tellProgress(ctx, 1, "The branch is where it was expected")
	tree, err := p.tree(ctx, before.Tree.SHA)
	if err != nil {
		return gitCommit{}, err
	}
	if tree == before.Tree.SHA {
		return gitCommit{}, told("The files are in the branch as they are given: there is nothing to commit.")
	}
	tellProgress(ctx, 3, "The files are at GitHub")
	return p.commit(ctx, tree)
}

func (p pusher) about() string { return branchOf(p.Repo, p.Branch) }

// tree is base with the changes.
func (p pusher) tree(ctx context.Context, base string) (string, error) {
	entries, err := p.entries(ctx, base)
	if err != nil {
		return "", err
	}
	tellProgress(ctx, 2, "The directories are read")
	body := struct {
		Base    string `json:"base_tree"`
		Entries []any  `json:"tree"`
	}{base, entries}
	var made struct {
		SHA string `json:"sha"`
	}
	if _, err := send(ctx, p.client, http.MethodPost, p.repo.path("git", "trees"), body, &made); err != nil {
		return "", p.refusedObject(ctx, err)
	}
	if !fullSHA.MatchString(made.SHA) {
		return "", odd(p.about())
	}
	return made.SHA, nil
}

func (p pusher) commit(ctx context.Context, tree string) (gitCommit, error) {
	body := struct {
		Message string   `json:"message"`
		Tree    string   `json:"tree"`
		Parents []string `json:"parents"`
	}{p.Message, tree, []string{p.ExpectedHead}}
	var made gitCommit
	if _, err := send(ctx, p.client, http.MethodPost, p.repo.path("git", "commits"), body, &made); err != nil {
		return gitCommit{}, p.refusedObject(ctx, err)
	}
	if !fullSHA.MatchString(made.SHA) {
		return gitCommit{}, odd(p.about())
	}
	return made, nil
}

// refusedObject is err of a request that made nothing which anybody could see: what
// writeFault leaves open is certain here.
func (p pusher) refusedObject(ctx context.Context, err error) error {
	about := "The repository " + p.Repo
	if status(err) == http.StatusNotFound {
		return writeFault(ctx, err, about, "")
	}
	return fault(ctx, err, about)
}

// move makes commit the branch's head, if that is still the one before it.
func (p pusher) move(ctx context.Context, commit gitCommit) (pushOutput, error) {
	body := struct {
		SHA   string `json:"sha"`
		Force bool   `json:"force"`
	}{commit.SHA, false}
	_, err := send(ctx, p.client, http.MethodPatch, p.repo.branchPath("refs", p.Branch), body, nil)
	if err == nil {
		tellProgress(ctx, pushSteps, "The branch has the commit")
		return pushOutput{commit.SHA, commit.HTMLURL}, nil
	}
	if answer, refused := refusedWith(err, http.StatusConflict, http.StatusUnprocessableEntity); refused {
		return pushOutput{}, unmoved(p.refused(ctx, answer))
	}
	look := fmt.Sprintf("look with github_list_branches: at %s, it did;", commit.SHA)
	return pushOutput{}, writeFault(ctx, err, p.about(), look)
}

// refused tells a branch that moved meanwhile from one that is protected.
func (p pusher) refused(ctx context.Context, answer *gh.ErrorResponse) error {
	head, err := headOf(ctx, p.client, p.repo, p.Branch)
	if err == nil && head != p.ExpectedHead {
		return moved(p.about(), head, p.ExpectedHead, "expected_head_sha")
	}
	return told("%s doesn't take the commit: %s. If it is protected, push to a new branch and open a pull request.", p.about(), reasons(answer))
}
