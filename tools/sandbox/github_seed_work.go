package sandbox

import (
	"fmt"
	"strings"
	"time"
)

// seedWork gives the repositories with a pull request what people and machines say
// of it: reviews, comments, runs, statuses, and notifications.
func (s *Sandbox) seedWork() {
	for _, r := range s.state.Repos {
		for _, i := range r.pulls() {
			s.seedTalk(r, i)
			s.seedRuns(r, i)
			s.seedThread(r, i, "PullRequest", "author", i.Updated.Add(3*time.Hour), true)
		}
		if r.Private && len(r.Issues) > 0 {
			s.seedThread(r, r.Issues[0], "Issue", "subscribed", r.Issues[0].Updated.Add(time.Hour), r.Name != "modular-synth")
		}
	}
}

// seedTalk is a conversation on i: a comment, a review with a word on a line.
func (s *Sandbox) seedTalk(r *repo, i *issue) {
	const helper = "quiet-reviewer"
	files := r.changes(i.Pull)
	hunk, _, _ := r.Git.patch(files[0])
	var oldFrom, oldLen, newFrom, newLen int
	fmt.Sscanf(hunk, "@@ -%d,%d +%d,%d @@", &oldFrom, &oldLen, &newFrom, &newLen)
	at := i.Created.Add(time.Hour)
	i.Comments = append(i.Comments, &comment{ID: s.nextID(), Author: helper, Body: "Thank you, I will have a look at " + r.Name + ".", Created: at})
	v := &review{ID: s.nextID(), Author: helper, State: "CHANGES_REQUESTED", Body: "One question below.", CommitSHA: i.Pull.HeadSHA, Submitted: at.Add(time.Hour)}
	i.Pull.Reviews = append(i.Pull.Reviews, v)
	i.Pull.Comments = append(i.Pull.Comments, &reviewComment{ID: s.nextID(), Review: v.ID, Author: helper, Body: "Is this meant for " + r.Name + "?",
		Path: files[0].Path, Side: "RIGHT", Line: newFrom, CommitSHA: i.Pull.HeadSHA, Created: at.Add(time.Hour)})
}

// seedRuns is a run of main that succeeded, and one of i's head that failed, with a
// status that waits.
func (s *Sandbox) seedRuns(r *repo, i *issue) {
	main := s.seedRun(r, "main", r.Git.Branches["main"], "push", "Add notes and a script", i.Created.Add(-time.Hour))
	main.Jobs = []*workflowJob{s.seedJob("build", main.Created, "")}
	run := s.seedRun(r, i.Pull.Head, i.Pull.HeadSHA, "pull_request", i.Title, i.Created.Add(5*time.Minute))
	run.Conclusion = "failure"
	run.Jobs = []*workflowJob{s.seedJob("lint", run.Created, ""), s.seedJob("test", run.Created, "--- FAIL: Test of "+r.Name)}
	r.Statuses = append(r.Statuses, &commitStatus{ID: s.nextID(), SHA: i.Pull.HeadSHA, Context: "preview/" + r.Name, State: "pending",
		Target: "https://preview.example/" + r.Name, At: run.Created})
}

func (s *Sandbox) seedRun(r *repo, branch, sha, event, title string, at time.Time) *workflowRun {
	w := &workflowRun{ID: s.nextID(), Number: len(r.Runs) + 1, Name: "CI", Path: ".github/workflows/ci.yml", Title: title, Event: event,
		Branch: branch, SHA: sha, Actor: r.Git.Commits[sha].Author, Status: "completed", Conclusion: "success", Created: at}
	r.Runs = append(r.Runs, w)
	return w
}

// seedJob is a job whose tests failed with that line, or succeeded.
func (s *Sandbox) seedJob(name string, at time.Time, failure string) *workflowJob {
	j := &workflowJob{ID: s.nextID(), Name: name, Status: "completed", Conclusion: "success", Started: at, Completed: at.Add(40 * time.Second)}
	var log strings.Builder
	write := func(at time.Time, lines ...string) {
		for n, line := range lines {
			fmt.Fprintf(&log, "%s %s\n", at.Add(time.Duration(n)*time.Millisecond).Format("2006-01-02T15:04:05.0000000Z"), line)
		}
	}
	step := func(name, conclusion string, from, to int, lines ...string) {
		j.Steps = append(j.Steps, workflowStep{name, conclusion, at.Add(time.Duration(from) * time.Second), at.Add(time.Duration(to) * time.Second)})
		write(at.Add(time.Duration(from)*time.Second+200*time.Millisecond), lines...)
	}
	step("Set up job", "success", 0, 2, "Current runner version: '2.330.0'", "Prepare all required actions")
	step("Run actions/checkout@v5", "success", 2, 5, "##[group]Run actions/checkout@v5", "##[endgroup]", "Syncing repository")
	if failure == "" {
		step("Run make "+name, "success", 5, 30, "##[group]Run make "+name, "##[endgroup]", "\x1b[32mok\x1b[0m")
	} else {
		j.Conclusion = "failure"
		step("Run make "+name, "failure", 5, 30, "##[group]Run make "+name, "##[endgroup]", "\x1b[31m"+failure+"\x1b[0m", "##[error]Process completed with exit code 2.")
	}
	step("Post Run actions/checkout@v5", "success", 30, 31, "Post job cleanup.", "Cleaning up orphan processes")
	j.Log = "\ufeff" + log.String()
	return j
}

func (s *Sandbox) seedThread(r *repo, i *issue, kind, reason string, at time.Time, unread bool) {
	account := r.Owner
	if !r.Private {
		account = AliceLogin
	}
	s.state.Threads = append(s.state.Threads, &thread{ID: s.nextID(), Account: account, Owner: r.Owner, Repo: r.Name, Kind: kind,
		Title: i.Title, Reason: reason, Number: i.Number, Unread: unread, Updated: at})
}
