// Package github is the GitHub module: finding and reading repositories, files,
// commits, issues, pull requests, Actions and notifications, and writing issues.
//
// It guarantees to send nothing but what its tools' contracts list, to api.github.com
// as it is known in public, with a client that it is given and never makes. What it
// returns of other people's words is cleaned, cut to a bounded length and marked as
// theirs.
package github

import (
	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	host     = "api.github.com"
	provider = "github"
	// scope is the least that reaches private repositories: an OAuth App has
	// nothing smaller, and the contracts bound what is done with it. A GitHub
	// App's tokens carry no scopes.
	scope = "repo"
)

// Module is GitHub's tools.
func Module() tools.Module {
	return tools.Module{
		Name: "github", Title: "GitHub", Provider: provider,
		Tools: []tools.Tool{
			showContext(), searchRepositories(), searchCode(), getFile(), listCommits(), getCommit(), listBranches(),
			searchIssues(), readIssue(),
			listPullRequests(), readPullRequest(), readActions(), listNotifications(),
			writeIssue(),
			writeComment(),
			createBranch(),
			pushFiles(),
			writePullRequest(),
			reviewPullRequest(),
			mergePullRequest(),
		},
	}
}
