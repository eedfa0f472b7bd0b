package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A workflowRun is a run of GitHub Actions.
type workflowRun struct {
	ID                       int64
	Number                   int
	Name, Path, Title, Event string
	Branch, SHA, Actor       string
	Status, Conclusion       string // Conclusion is "" until Status is completed
	Created                  time.Time
	Jobs                     []*workflowJob
}

// A workflowJob is one of a run's, and a check run of the commit under the same id.
type workflowJob struct {
	ID                 int64
	Name               string
	Status, Conclusion string
	Started, Completed time.Time
	Steps              []workflowStep
	Log                string // "" where there is none (any more)
}

// A workflowStep is one of a job's.
type workflowStep struct {
	Name, Conclusion   string
	Started, Completed time.Time
}

// A commitStatus is what an older service says of a commit.
type commitStatus struct {
	ID                          int64
	SHA, Context, State, Target string
	At                          time.Time
}

func (s *Sandbox) actionsRoutes() map[string]handler {
	return map[string]handler{
		"GET /repos/{owner}/{repo}/actions/runs":             s.githubRuns,
		"GET /repos/{owner}/{repo}/actions/runs/{id}/jobs":   s.githubJobs,
		"GET /repos/{owner}/{repo}/actions/jobs/{id}":        s.onJob(githubJob),
		"GET /repos/{owner}/{repo}/actions/jobs/{id}/logs":   s.onJob(s.githubJobLog),
		"GET /repos/{owner}/{repo}/commits/{ref}/check-runs": s.onCommit(githubCheckRuns),
		"GET /repos/{owner}/{repo}/commits/{ref}/status":     s.onCommit(githubStatus),
	}
}

// counted is a page of list as the object that these listings are.
func counted[T any](c *call, list []T, name string, shape func(T) object) answer {
	a := shaped(c, list, shape)
	a.body = object{"total_count": len(list), name: a.body}
	return a
}

// runStates are the values of the parameter status, which are of both fields.
var runStates = []string{"", "completed", "action_required", "cancelled", "failure", "neutral", "skipped", "stale", "success",
	"timed_out", "in_progress", "queued", "requested", "waiting", "pending"}

func (s *Sandbox) githubRuns(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	q := c.URL.Query()
	if !slices.Contains(runStates, q.Get("status")) {
		return githubInvalid(fieldError{Resource: "WorkflowRun", Field: "status", Code: "invalid", Value: q.Get("status")})
	}
	list := slices.DeleteFunc(slices.Clone(r.Runs), func(w *workflowRun) bool {
		state := q.Get("status")
		return q.Get("branch") != "" && w.Branch != q.Get("branch") || q.Get("head_sha") != "" && w.SHA != q.Get("head_sha") ||
			q.Get("event") != "" && w.Event != q.Get("event") || state != "" && state != w.Status && state != w.Conclusion
	})
	slices.SortStableFunc(list, func(a, b *workflowRun) int { return b.Created.Compare(a.Created) })
	return counted(c, list, "workflow_runs", func(w *workflowRun) object { return runShape(c.base, r, w, c.token.Account) })
}

// runShape is GitHub's "workflow run".
func runShape(base string, r *repo, w *workflowRun, account string) object {
	repoURL := base + "/api/v3/repos/" + r.Owner + "/" + r.Name
	api, full := fmt.Sprintf("%s/actions/runs/%d", repoURL, w.ID), fullRepo(base, r, account)
	return object{
		"id": w.ID, "node_id": nodeID("WFR", w.ID), "name": w.Name, "path": w.Path, "display_title": w.Title, "event": w.Event,
		"head_branch": w.Branch, "head_sha": w.SHA, "run_number": w.Number, "run_attempt": 1, "status": w.Status,
		"conclusion": orNull(w.Conclusion), "workflow_id": r.ID + 1, "check_suite_id": w.ID + 1, "check_suite_node_id": nodeID("CS", w.ID+1),
		"url": api, "html_url": runPage(base, r, w), "pull_requests": []object{}, "created_at": stamp(w.Created),
		"updated_at": stamp(w.Created.Add(time.Minute)), "run_started_at": stamp(w.Created),
		"actor": simpleUser(base, w.Actor), "triggering_actor": simpleUser(base, w.Actor),
		"jobs_url": api + "/jobs", "logs_url": api + "/logs", "artifacts_url": api + "/artifacts", "cancel_url": api + "/cancel",
		"rerun_url": api + "/rerun", "previous_attempt_url": nil,
		"check_suite_url": fmt.Sprintf("%s/check-suites/%d", repoURL, w.ID+1), "workflow_url": fmt.Sprintf("%s/actions/workflows/%d", repoURL, r.ID+1),
		"head_commit": simpleCommitShape(r, w.SHA), "repository": full, "head_repository": full,
	}
}

func runPage(base string, r *repo, w *workflowRun) string {
	return fmt.Sprintf("%s/%s/%s/actions/runs/%d", base, r.Owner, r.Name, w.ID)
}

// simpleCommitShape is GitHub's "simple commit", or null.
func simpleCommitShape(r *repo, sha string) any {
	if r.Git == nil || r.Git.Commits[sha] == nil {
		return nil
	}
	c := r.Git.Commits[sha]
	who := object{"name": c.Author, "email": gitEmail(c.Author)}
	return object{"id": sha, "tree_id": c.Tree, "message": c.Message, "timestamp": stamp(c.At), "author": who, "committer": who}
}

func (s *Sandbox) githubJobs(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	if _, ok := oneOf(c, "filter", "latest", "all"); !ok {
		return githubInvalid(fieldError{Resource: "WorkflowJob", Field: "filter", Code: "invalid"})
	}
	for _, w := range r.Runs {
		if strconv.FormatInt(w.ID, 10) == c.PathValue("id") {
			return counted(c, w.Jobs, "jobs", func(j *workflowJob) object { return jobShape(c.base, r, w, j) })
		}
	}
	return githubNotFound()
}

// onJob finds the job for h.
func (s *Sandbox) onJob(h func(*call, *repo, *workflowRun, *workflowJob) answer) handler {
	return func(c *call) answer {
		r := s.find(c)
		if r == nil {
			return githubNotFound()
		}
		for _, w := range r.Runs {
			for _, j := range w.Jobs {
				if strconv.FormatInt(j.ID, 10) == c.PathValue("id") {
					return h(c, r, w, j)
				}
			}
		}
		return githubNotFound()
	}
}

func githubJob(c *call, r *repo, w *workflowRun, j *workflowJob) answer {
	return answer{status: http.StatusOK, body: jobShape(c.base, r, w, j)}
}

// jobShape is GitHub's "job".
func jobShape(base string, r *repo, w *workflowRun, j *workflowJob) object {
	repoURL := base + "/api/v3/repos/" + r.Owner + "/" + r.Name
	steps := []object{}
	for n, st := range j.Steps {
		status := "completed"
		if st.Conclusion == "" {
			status = "in_progress"
		}
		steps = append(steps, object{"name": st.Name, "number": n + 1, "status": status, "conclusion": orNull(st.Conclusion),
			"started_at": stamp(st.Started), "completed_at": stampOrNull(st.Completed)})
	}
	return object{
		"id": j.ID, "node_id": nodeID("CR", j.ID), "run_id": w.ID, "run_attempt": 1, "run_url": fmt.Sprintf("%s/actions/runs/%d", repoURL, w.ID),
		"url": fmt.Sprintf("%s/actions/jobs/%d", repoURL, j.ID), "html_url": fmt.Sprintf("%s/job/%d", runPage(base, r, w), j.ID),
		"check_run_url": fmt.Sprintf("%s/check-runs/%d", repoURL, j.ID), "head_sha": w.SHA, "head_branch": w.Branch,
		"workflow_name": w.Name, "name": j.Name, "status": j.Status, "conclusion": orNull(j.Conclusion), "created_at": stamp(w.Created),
		"started_at": stamp(j.Started), "completed_at": stampOrNull(j.Completed), "steps": steps, "labels": []string{"ubuntu-latest"},
		"runner_id": 1, "runner_name": "GitHub Actions 1", "runner_group_id": 1, "runner_group_name": "GitHub Actions",
	}
}

func stampOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

// onCommit finds the commit for h, by its name or a branch's.
func (s *Sandbox) onCommit(h func(c *call, r *repo, sha string) answer) handler {
	return func(c *call) answer {
		r := s.find(c)
		if r == nil {
			return githubNotFound()
		}
		if r.Git.empty() {
			return githubError(http.StatusConflict, "Git Repository is empty.")
		}
		found := r.Git.resolve(c.PathValue("ref"))
		if found == nil {
			return unprocessable("No commit found for SHA: " + c.PathValue("ref"))
		}
		return h(c, r, found.SHA)
	}
}

// githubCheckRuns are the jobs of the commit's runs: the sandbox has no other app.
func githubCheckRuns(c *call, r *repo, sha string) answer {
	var list []object
	for _, w := range r.Runs {
		for _, j := range w.Jobs {
			if w.SHA == sha {
				list = append(list, checkRunShape(c.base, r, w, j))
			}
		}
	}
	return counted(c, list, "check_runs", func(o object) object { return o })
}

// checkRunShape is GitHub's "check run".
func checkRunShape(base string, r *repo, w *workflowRun, j *workflowJob) object {
	job := jobShape(base, r, w, j)
	return object{
		"id": j.ID, "node_id": job["node_id"], "name": j.Name, "head_sha": w.SHA, "external_id": fmt.Sprintf("sandbox-%d", j.ID),
		"url": job["check_run_url"], "html_url": job["html_url"], "details_url": job["html_url"], "status": j.Status,
		"conclusion": orNull(j.Conclusion), "started_at": job["started_at"], "completed_at": job["completed_at"],
		"check_suite": object{"id": w.ID + 1}, "pull_requests": []object{},
		"output": object{"title": nil, "summary": nil, "text": nil, "annotations_count": 0, "annotations_url": job["check_run_url"].(string) + "/annotations"},
		"app": object{
			"id": 15368, "slug": "github-actions", "node_id": nodeID("A", 15368), "owner": simpleUser(base, "github"), "name": "GitHub Actions",
			"description": "Automate your workflow from idea to production", "external_url": "https://help.github.com/en/actions",
			"html_url": base + "/apps/github-actions", "created_at": "2018-07-30T09:30:17Z", "updated_at": "2025-11-20T18:33:58Z",
			"permissions": object{"checks": "write", "contents": "write", "statuses": "write"}, "events": []string{"push"},
		},
	}
}

// githubStatus is GitHub's "combined commit status". It has a count of all, and no
// Link header.
func githubStatus(c *call, r *repo, sha string) answer {
	list := slices.DeleteFunc(slices.Clone(r.Statuses), func(v *commitStatus) bool { return v.SHA != sha })
	url := c.base + "/api/v3/repos/" + r.Owner + "/" + r.Name + "/commits/" + sha
	a := counted(c, list, "statuses", func(v *commitStatus) object {
		return object{"id": v.ID, "node_id": nodeID("SC", v.ID), "context": v.Context, "state": v.State, "description": nil,
			"target_url": orNull(v.Target), "avatar_url": c.base + "/avatars/in/1", "created_at": stamp(v.At), "updated_at": stamp(v.At),
			"url": c.base + "/api/v3/repos/" + r.Owner + "/" + r.Name + "/statuses/" + sha}
	})
	a.header.Del("Link")
	body := a.body.(object)
	body["sha"], body["state"], body["url"], body["commit_url"] = sha, combined(list), url+"/status", url
	body["repository"] = fullRepo(c.base, r, c.token.Account)
	return a
}

// combined is the worst of the states, and pending where there is none.
func combined(list []*commitStatus) string {
	state := "pending"
	for n, v := range list {
		switch {
		case v.State == "failure" || v.State == "error":
			return "failure"
		case v.State == "success" && n == 0:
			state = "success"
		case v.State == "pending":
			state = "pending"
		}
	}
	return state
}
