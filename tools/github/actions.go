package github

import (
	"context"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

func readActions() tools.Tool {
	rule := func(path string, query ...string) tools.Rule {
		return tools.Rule{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/actions" + path, Query: query}
	}
	return tools.Define(tools.Spec{
		Name:        "github_read_actions",
		Title:       "Read Actions",
		Description: "List a repository's workflow runs; with run_id its jobs; with job_id the end of the failed step's log.",
		Can:         "Read the runs, jobs and logs of GitHub Actions that you can see",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{
			rule("/runs", "branch", "status", "page", "per_page", "exclude_pull_requests"),
			rule("/runs/{run_id}/jobs", "page", "per_page"),
			rule("/jobs/{job_id}"),
			logsRule(),
		},
	}, readRuns)
}

// logsRule also says where GitHub keeps logs: the storage accounts that it announces,
// whose number grows, and the service that it had before.
func logsRule() tools.Rule {
	return tools.Rule{
		Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/actions/jobs/{job_id}/logs",
		Redirects: []string{"productionresultssa*.blob.core.windows.net", "*.actions.githubusercontent.com"},
	}
}

type actionsInput struct {
	Repo   string `json:"repo" jsonschema:"owner/name"`
	Branch string `json:"branch,omitempty" jsonschema:"of the runs"`
	Status string `json:"status,omitempty" jsonschema:"of the runs" enum:"success,failure,in_progress"`
	RunID  int64  `json:"run_id,omitempty" jsonschema:"for its jobs"`
	JobID  int64  `json:"job_id,omitempty" jsonschema:"for its log"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`
}

// about is what the errors of the request for it speak of.
func (in actionsInput) about() string {
	switch {
	case in.JobID != 0:
		return fmt.Sprintf("Job %d of %s", in.JobID, in.Repo)
	case in.RunID != 0:
		return fmt.Sprintf("Run %d of %s", in.RunID, in.Repo)
	}
	return "The repository " + in.Repo
}

// check holds which arguments go together.
func (in actionsInput) check() error {
	if in.RunID != 0 && in.JobID != 0 {
		return told("Give run_id for a run's jobs, or job_id for a job's log, not both.")
	}
	if (in.RunID != 0 || in.JobID != 0) && in.Branch+in.Status != "" {
		return told("branch and status choose among runs: leave them out beside run_id or job_id.")
	}
	return nil
}

// actionsOutput has runs, a run's jobs, or a log.
type actionsOutput struct {
	Items      []run  `json:"items,omitempty"`
	Log        string `json:"log,omitempty"`
	NextCursor string `json:"next_cursor,omitempty"`
	Untrusted  string `json:"untrusted"`
}

// A run is of a workflow, or a job of one.
type run struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	Status     string `json:"status"`
	Title      string `json:"title,omitempty"`
	Branch     string `json:"branch,omitempty"`
	SHA        string `json:"sha,omitempty"`
	CreatedAt  string `json:"created_at,omitempty"`
	FailedStep string `json:"failed_step,omitempty"`
}

func readRuns(ctx context.Context, api *http.Client, in actionsInput) (actionsOutput, error) {
	if err := in.check(); err != nil {
		return actionsOutput{}, err
	}
	r, err := repoOf(in.Repo)
	if err != nil {
		return actionsOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return actionsOutput{}, err
	}
	a := &actionsReader{client, api, r, in}
	var out actionsOutput
	switch {
	case in.JobID != 0:
		out, err = a.log(ctx)
	case in.RunID != 0:
		out.Items, out.NextCursor, err = listed(ctx, in.Cursor, "", a.jobs)
	default:
		out.Items, out.NextCursor, err = listed(ctx, in.Cursor, "", a.runs)
	}
	if err != nil {
		return actionsOutput{}, fault(ctx, err, in.about())
	}
	out.Untrusted = tools.Untrusted
	return out, nil
}

// An actionsReader reads for one call. api follows redirects, which client doesn't.
type actionsReader struct {
	client *gh.Client
	api    *http.Client
	repo   repo
	in     actionsInput
}

// A workflowRun is what the tool reads of a run.
type workflowRun struct {
	ID           int64         `json:"id"`
	Name         string        `json:"name"`
	DisplayTitle string        `json:"display_title"`
	Status       string        `json:"status"`
	Conclusion   string        `json:"conclusion"`
	HeadBranch   string        `json:"head_branch"`
	HeadSHA      string        `json:"head_sha"`
	CreatedAt    *gh.Timestamp `json:"created_at"`
}

func (w workflowRun) brief() run {
	return run{
		ID: w.ID, Name: line(w.Name, titleLength), Status: outcome(w.Status, w.Conclusion), Title: line(w.DisplayTitle, titleLength),
		Branch: line(w.HeadBranch, titleLength), SHA: w.HeadSHA, CreatedAt: when(w.CreatedAt),
	}
}

func (a *actionsReader) runs(ctx context.Context, at place) ([]run, int, error) {
	query := at.query(listSize)
	query.Set("exclude_pull_requests", "true")
	if a.in.Branch != "" {
		query.Set("branch", a.in.Branch)
	}
	if a.in.Status != "" {
		query.Set("status", a.in.Status)
	}
	var page struct {
		Runs []workflowRun `json:"workflow_runs"`
	}
	resp, err := get(ctx, a.client, a.repo.path("actions", "runs"), query, &page)
	return each(page.Runs, workflowRun.brief), nextPage(resp), err
}

// A workflowJob is what the tool reads of a job.
type workflowJob struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
	HTMLURL    string `json:"html_url"`
	Steps      []step `json:"steps"`
}

type step struct {
	Name        string        `json:"name"`
	Conclusion  string        `json:"conclusion"`
	StartedAt   *gh.Timestamp `json:"started_at"`
	CompletedAt *gh.Timestamp `json:"completed_at"`
}

// failed is the first step that failed, or else was cancelled; nil if there is none.
func (w workflowJob) failed() *step {
	for _, bad := range [][]string{{"failure", "timed_out"}, {"cancelled", "action_required"}} {
		for i, s := range w.Steps {
			if s.Conclusion == bad[0] || s.Conclusion == bad[1] {
				return &w.Steps[i]
			}
		}
	}
	return nil
}

func (w workflowJob) brief() run {
	out := run{ID: w.ID, Name: line(w.Name, titleLength), Status: outcome(w.Status, w.Conclusion)}
	if s := w.failed(); s != nil {
		out.FailedStep = line(s.Name, titleLength)
	}
	return out
}

func (a *actionsReader) jobs(ctx context.Context, at place) ([]run, int, error) {
	var page struct {
		Jobs []workflowJob `json:"jobs"`
	}
	resp, err := get(ctx, a.client, a.repo.path("actions", "runs", a.in.RunID, "jobs"), at.query(listSize), &page)
	return each(page.Jobs, workflowJob.brief), nextPage(resp), err
}
