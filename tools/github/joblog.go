package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

// logLine is how many bytes of a log's line are shown.
const logLine = 1000

// A logSpot says how many lines, from the end, were given already.
type logSpot struct {
	Given int `json:"g"`
}

// log is the end of what the job's failed step wrote, or what came before that.
func (a *actionsReader) log(ctx context.Context) (actionsOutput, error) {
	var at logSpot
	if err := tools.ReadCursor(ctx, a.in.Cursor, &at); err != nil {
		return actionsOutput{}, err
	}
	var w workflowJob
	if _, err := get(ctx, a.client, a.repo.path("actions", "jobs", a.in.JobID), nil, &w); err != nil {
		return actionsOutput{}, err
	}
	if w.Status != "completed" {
		return actionsOutput{}, told("Job %d is not completed (%s): GitHub gives its log when it has ended. Try again then.", a.in.JobID, w.Status)
	}
	text, whole, err := a.download(ctx, w)
	if err != nil {
		return actionsOutput{}, err
	}
	lines, head, err := w.important(readLog(text), whole)
	if err != nil {
		return actionsOutput{}, err
	}
	var out actionsOutput
	shown := tail(lines[:max(0, len(lines)-at.Given)], room-2<<10)
	if at.Given += len(shown); at.Given < len(lines) {
		head += fmt.Sprintf(" (%d lines before these, by next_cursor)", len(lines)-at.Given)
		out.NextCursor, err = tools.WriteCursor(ctx, at)
	}
	out.Log = head + "\n" + strings.Join(shown, "\n")
	return out, err
}

// important are the lines to show, and a line about them. A log that isn't whole may
// end before the failed step.
func (w workflowJob) important(lines []logged, whole bool) (shown []logged, head string, err error) {
	missing := ""
	if !whole {
		missing = " (the job's log is larger than what can be read, its end is missing)"
	}
	failed := w.failed()
	if failed == nil {
		return lines, "The whole log:" + missing, nil
	}
	name := line(failed.Name, titleLength)
	own := ofStep(lines, *failed)
	switch {
	case len(own) > 0:
		return own, fmt.Sprintf("The log of the step %q (%s):%s", name, failed.Conclusion, missing), nil
	case !whole:
		return nil, "", told("The log is larger than what can be read, and the failed step %q is beyond that. Ask the user to open %s.", name, webLink(w.HTMLURL))
	}
	return lines, fmt.Sprintf("The whole log, in which the step %q failed (%s):", name, failed.Conclusion), nil
}

// download is the log's text, from where GitHub redirects to; whole is false where
// it is larger than an answer may be.
func (a *actionsReader) download(ctx context.Context, w workflowJob) (text string, whole bool, err error) {
	req, err := a.client.NewRequest(ctx, http.MethodGet, a.repo.path("actions", "jobs", a.in.JobID, "logs"), nil)
	if err != nil {
		return "", false, err
	}
	where, err := a.redirected(req, w)
	if err != nil {
		return "", false, err
	}
	tools.Info(ctx).Progress(2, 3, "Downloading the log")
	req, err = http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return "", false, err
	}
	resp, err := a.api.Do(req)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", false, told("The storage where GitHub keeps the log of job %d doesn't give it (status %d). Try again in a minute, or ask the user to open %s.",
			a.in.JobID, resp.StatusCode, webLink(w.HTMLURL))
	}
	read, err := io.ReadAll(resp.Body)
	if _, tooLarge := errors.AsType[*tools.Error](err); tooLarge {
		return string(read), false, nil
	}
	return string(read), true, err
}

// redirected is where GitHub sends who asks for the log.
func (a *actionsReader) redirected(req *http.Request, w workflowJob) (*url.URL, error) {
	stay := *a.api
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := stay.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return nil, told("GitHub has no log of job %d any more: it keeps logs for a limited time (90 days by default), and none of a job that never ran.", a.in.JobID)
	}
	if err := gh.CheckResponse(resp); err != nil && resp.StatusCode != http.StatusFound {
		return nil, err
	}
	where, err := resp.Location() // none in a 200, which GitHub doesn't answer
	if err != nil || logsRule().CheckRedirect(where) != nil {
		return nil, told("GitHub keeps this log where it can't be read from here. Ask the user to open %s.", webLink(w.HTMLURL))
	}
	return where, nil
}

// A logged is a line of a log with its time.
type logged struct {
	at   time.Time
	text string
}

// readLog splits a log into lines without their times. A line without a time has
// that of the line before.
func readLog(text string) []logged {
	text = strings.TrimPrefix(strings.TrimSuffix(text, "\n"), "\ufeff")
	if text == "" {
		return nil
	}
	var lines []logged
	var at time.Time
	for raw := range strings.SplitSeq(text, "\n") {
		stamp, rest, _ := strings.Cut(raw, " ")
		if t, err := time.Parse(time.RFC3339Nano, strings.TrimPrefix(stamp, "\ufeff")); err == nil {
			at, raw = t, rest
		}
		lines = append(lines, logged{at, raw})
	}
	return lines
}

// ofStep are the lines that s wrote, by their times. GitHub's log doesn't say which
// step a line is of, and the steps' times are whole seconds: the last error in that
// time is the step's end.
func ofStep(lines []logged, s step) []logged {
	if s.StartedAt == nil || s.CompletedAt == nil {
		return nil
	}
	start, end := s.StartedAt.Time, s.CompletedAt.Add(time.Second)
	own := slices.DeleteFunc(slices.Clone(lines), func(l logged) bool { return l.at.Before(start) || !l.at.Before(end) })
	for i := len(own) - 1; i >= 0; i-- {
		if strings.HasPrefix(own[i].text, "##[error]") {
			return own[:i+1]
		}
	}
	return own
}

// tail is as many of the last lines as fit into budget bytes of JSON.
func tail(lines []logged, budget int) []string {
	var shown []string
	for _, l := range slices.Backward(lines) {
		text, _ := tools.Clip(l.text, logLine)
		if budget -= encoded(text); budget < 0 && len(shown) > 0 {
			break
		}
		shown = append(shown, text)
	}
	slices.Reverse(shown)
	return shown
}
