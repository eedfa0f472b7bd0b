package github

import (
	"context"
	"net/http"
	"regexp"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

func createBranch() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_create_branch",
		Title:       "Create a branch",
		Description: "Create a branch on GitHub, for github_push_files. Not for moving one.",
		Can:         "Create branches in repositories that you may push to",
		Provider:    provider,
		Scopes:      []string{scope},
		Egress: []tools.Rule{
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}"},
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/git/ref/heads/{branch...}"},
			{Method: http.MethodPost, Host: host, Path: "/repos/{owner}/{repo}/git/refs"},
		},
	}, startBranch)
}

type branchInput struct {
	Repo   string `json:"repo" jsonschema:"owner/name"`
	Branch string `json:"branch" jsonschema:"new name"`
	From   string `json:"from,omitempty" jsonschema:"branch or full SHA (default: default branch)"`
}

type branchOutput struct {
	SHA string `json:"sha"`
}

// A ref is GitHub's answer about a branch.
type ref struct {
	Object struct {
		SHA string `json:"sha"`
	} `json:"object"`
}

func startBranch(ctx context.Context, api *http.Client, in branchInput) (branchOutput, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return branchOutput{}, err
	}
	if err := in.check(); err != nil {
		return branchOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return branchOutput{}, err
	}
	sha, err := in.start(ctx, client, repo)
	if err != nil {
		return branchOutput{}, err
	}
	body := struct {
		Ref string `json:"ref"`
		SHA string `json:"sha"`
	}{"refs/heads/" + in.Branch, sha}
	if _, err := send(ctx, client, http.MethodPost, repo.path("git", "refs"), body, nil); err != nil {
		return branchOutput{}, in.fault(ctx, client, repo, err)
	}
	return branchOutput{sha}, nil
}

func (in branchInput) check() error {
	if err := checkBranch(in.Branch); err != nil {
		return err
	}
	if fullSHA.MatchString(in.Branch) {
		return told("%q looks like a commit: choose another name for the branch.", in.Branch)
	}
	if in.From == "" {
		return nil
	}
	return checkBranch(in.From)
}

// start is the commit at which the branch begins.
func (in branchInput) start(ctx context.Context, client *gh.Client, repo repo) (string, error) {
	from := in.From
	if fullSHA.MatchString(from) {
		return from, nil
	}
	if from == "" {
		var found struct {
			DefaultBranch string `json:"default_branch"`
		}
		if _, err := get(ctx, client, repo.path(), nil, &found); err != nil {
			return "", fault(ctx, err, "The repository "+in.Repo)
		}
		if from = found.DefaultBranch; checkBranch(from) != nil {
			return "", told("%s has no default branch to start from. Name a branch or a commit in from.", in.Repo)
		}
	}
	return headOf(ctx, client, repo, from)
}

// fault names where the branch already is, if that is why it can't be created.
func (in branchInput) fault(ctx context.Context, client *gh.Client, repo repo, err error) error {
	about := branchOf(in.Repo, in.Branch)
	if says(err, http.StatusUnprocessableEntity, "already exists") {
		sha, err := headOf(ctx, client, repo, in.Branch)
		if err != nil {
			return err
		}
		return told("%s exists already, at %s. Push to it, or choose another name.", about, sha)
	}
	if says(err, http.StatusUnprocessableEntity, "Object does not exist") {
		return told("%s has no commit %s. Give the full SHA of one that it has.", in.Repo, in.From)
	}
	if status(err) == http.StatusNotFound {
		about = "The repository " + in.Repo // the branch is what doesn't exist yet
	}
	return writeFault(ctx, err, about, "look with github_list_branches")
}

// headOf is the commit at which a branch is; its error is one to tell.
func headOf(ctx context.Context, client *gh.Client, repo repo, branch string) (string, error) {
	var found ref
	if _, err := get(ctx, client, repo.branchPath("ref", branch), nil, &found); err != nil {
		return "", fault(ctx, err, branchOf(repo.String(), branch))
	}
	if !fullSHA.MatchString(found.Object.SHA) {
		return "", odd(branchOf(repo.String(), branch))
	}
	return found.Object.SHA, nil
}

// branchOf is a branch as a sentence's beginning.
func branchOf(repo, branch string) string { return "Branch " + branch + " of " + repo }

// branchPath is the address of a branch, whose name may have slashes.
func (r repo) branchPath(kind, branch string) string {
	parts := []any{"git", kind, "heads"}
	for part := range strings.SplitSeq(branch, "/") {
		parts = append(parts, part)
	}
	return r.path(parts...)
}

var fullSHA = regexp.MustCompile(`^[0-9a-f]{40}$`)

// checkSHA refuses what is no commit's full name, in the argument of that name.
func checkSHA(argument, sha string) error {
	if !fullSHA.MatchString(sha) {
		return told("%s must be a commit's full SHA of 40 hexadecimal digits, as other GitHub tools give it.", argument)
	}
	return nil
}

// checkBranch refuses what is no branch's name for git, and what no path can carry.
func checkBranch(name string) error {
	wrong := name == "" || name[0] == '-' || name == "@" || strings.HasPrefix(name, "refs/") ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") || tools.Clean(name) != name ||
		strings.ContainsAny(name, " ~^:?*[\\%;\n\t")
	for part := range strings.SplitSeq(name, "/") {
		wrong = wrong || part == "" || part[0] == '.' || strings.HasSuffix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if wrong {
		return told("%q is no branch's name: give it without refs/heads/, spaces and any of ~^:?*[\\%%;, like fix/login.", line(name, nameLength))
	}
	return nil
}
