package github

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	gh "github.com/google/go-github/v89/github"
)

// A pullRemark is a review, or a comment on the whole or on a line.
type pullRemark struct {
	Author        string `json:"author"`
	Association   string `json:"author_association"`
	State         string `json:"state,omitempty"`
	Where         string `json:"where,omitempty"`
	Time          string `json:"time"`
	Body          string `json:"body"`
	BodyTruncated bool   `json:"body_truncated,omitempty"`
}

// A changedFile is a file as GitHub lists it. Patch is missing for a binary, for a
// huge one, and where only the name changed.
type changedFile struct {
	Filename  string `json:"filename"`
	Previous  string `json:"previous_filename"`
	Status    string `json:"status"`
	Additions int    `json:"additions"`
	Deletions int    `json:"deletions"`
	Patch     string `json:"patch"`
}

func (p *pullReader) filePage(ctx context.Context, at place) ([]changedFile, int, error) {
	var page []changedFile
	resp, err := get(ctx, p.client, p.path("files"), at.query(listSize), &page)
	return page, nextPage(resp), err
}

// files are lines like those of "git diff --stat".
func (p *pullReader) files(ctx context.Context, at place) ([]string, int, error) {
	page, next, err := p.filePage(ctx, at)
	return each(page, func(f changedFile) string {
		name := line(f.Filename, titleLength)
		if f.Previous != "" {
			name = line(f.Previous, titleLength) + " => " + name
		}
		return fmt.Sprintf("%s +%d -%d %s", f.Status, f.Additions, f.Deletions, name)
	}), next, err
}

// A remark is what GitHub's reviews, and its two kinds of comments, have of these.
type remark struct {
	User        account       `json:"user"`
	Association string        `json:"author_association"`
	State       string        `json:"state"`
	Body        string        `json:"body"`
	Path        string        `json:"path"`
	Line        int           `json:"line"`
	SubmittedAt *gh.Timestamp `json:"submitted_at"`
	CreatedAt   *gh.Timestamp `json:"created_at"`
}

func (r remark) brief() pullRemark {
	out := pullRemark{
		Author: line(r.User.Login, nameLength), Association: r.Association, State: r.State,
		Where: line(r.Path, titleLength), Time: when(r.CreatedAt),
	}
	if r.SubmittedAt != nil {
		out.Time = when(r.SubmittedAt)
	}
	if r.Line != 0 {
		out.Where += ":" + strconv.Itoa(r.Line)
	}
	out.Body, out.BodyTruncated = clipJSON(r.Body, commentLength)
	return out
}

// remarks is a page of those at path.
func (p *pullReader) remarks(ctx context.Context, path string, at place) ([]pullRemark, int, error) {
	var page []remark
	resp, err := get(ctx, p.client, path, at.query(listSize), &page)
	return each(page, remark.brief), nextPage(resp), err
}

func (p *pullReader) reviews(ctx context.Context, at place) ([]pullRemark, int, error) {
	return p.remarks(ctx, p.path("reviews"), at)
}

// conversation are the comments on the whole, which GitHub keeps with issues.
func (p *pullReader) conversation(ctx context.Context, at place) ([]pullRemark, int, error) {
	return p.remarks(ctx, p.repo.path("issues", p.in.Number, "comments"), at)
}

func (p *pullReader) lineComments(ctx context.Context, at place) ([]pullRemark, int, error) {
	return p.remarks(ctx, p.path("comments"), at)
}

// checks are of the head that the first answer found: one that moves meanwhile
// doesn't mix two commits' checks.
func (p *pullReader) checks(ctx context.Context) ([]string, string, error) {
	var at spot
	if err := at.read(ctx, p.in.Cursor); err != nil {
		return nil, "", err
	}
	if at.SHA == "" {
		found, err := p.load(ctx)
		if err != nil {
			return nil, "", err
		}
		if at.SHA = found.Head.SHA; !plain(at.SHA) {
			return nil, "", told("GitHub didn't say what the newest commit of pull request %d is. Try again in a minute.", p.in.Number)
		}
	}
	of := func(list func(context.Context, string, place) ([]string, int, error)) source[string] {
		return func(ctx context.Context, page place) ([]string, int, error) { return list(ctx, at.SHA, page) }
	}
	return listed(ctx, p.in.Cursor, at.SHA, of(p.checkRuns), of(p.statuses))
}

// A checkRun is one as GitHub lists it. Those of GitHub Actions have their job's id.
type checkRun struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
	DetailsURL string `json:"details_url"`
	App        struct {
		Slug string `json:"slug"`
	} `json:"app"`
}

func (c checkRun) brief() string {
	if c.App.Slug == "github-actions" {
		return fmt.Sprintf("%s %s (job_id %d)", outcome(c.Status, c.Conclusion), line(c.Name, titleLength), c.ID)
	}
	return checkLine(outcome(c.Status, c.Conclusion), c.Name, c.DetailsURL)
}

// checkLine is a check of somebody else's, with where to read on.
func checkLine(status, name, page string) string {
	return strings.TrimSpace(status + " " + line(name, titleLength) + " " + webLink(page))
}

func (p *pullReader) checkRuns(ctx context.Context, sha string, at place) ([]string, int, error) {
	var page struct {
		Runs []checkRun `json:"check_runs"`
	}
	resp, err := get(ctx, p.client, p.repo.path("commits", sha, "check-runs"), at.query(listSize), &page)
	return each(page.Runs, checkRun.brief), nextPage(resp), err
}

// statuses are what older services report. GitHub's answer has a count of all and
// no link to the next page.
func (p *pullReader) statuses(ctx context.Context, sha string, at place) ([]string, int, error) {
	var page struct {
		Total    int `json:"total_count"`
		Statuses []struct {
			Context   string `json:"context"`
			State     string `json:"state"`
			TargetURL string `json:"target_url"`
		} `json:"statuses"`
	}
	_, err := get(ctx, p.client, p.repo.path("commits", sha, "status"), at.query(listSize), &page)
	lines := make([]string, 0, len(page.Statuses))
	for _, s := range page.Statuses {
		lines = append(lines, checkLine(s.State, s.Context, s.TargetURL))
	}
	next := 0
	if len(page.Statuses) > 0 && at.Page*listSize < page.Total {
		next = at.Page + 1
	}
	return lines, next, err
}

// outcome is a conclusion, or how far it is.
func outcome(status, conclusion string) string {
	if conclusion != "" {
		return conclusion
	}
	return status
}
