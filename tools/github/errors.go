package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

// searchFault is err as a sentence, if it is GitHub's answer; errors of the
// transport stay as they are, for who made the client.
func searchFault(ctx context.Context, err error) error {
	if status(err) >= http.StatusInternalServerError {
		return told("GitHub has a problem at the moment (status %d). Try again in a minute.", status(err))
	}
	if answer, ok := errors.AsType[*gh.ErrorResponse](err); ok {
		switch status(err) {
		case http.StatusUnprocessableEntity:
			return told("GitHub can't run this query: %s. Check its qualifiers (repo:owner/name, author:, label:) and that this account sees what they name.", reasons(answer))
		case http.StatusNotFound:
			return told("GitHub has no issue search here (status 404).")
		}
	}
	return fault(ctx, err)
}

// writeFault is err as a sentence about the issue in in.
func writeFault(ctx context.Context, err error, in writeInput) error {
	repo := in.Owner + "/" + in.Repo
	if status(err) >= http.StatusInternalServerError {
		return told("GitHub has a problem (status %d), and the outcome is unknown: look with github_search_issues whether it happened in %s before you try again.", status(err), repo)
	}
	answer, ok := errors.AsType[*gh.ErrorResponse](err)
	if !ok {
		return fault(ctx, err)
	}
	switch status(err) {
	case http.StatusNotFound:
		return told("%s doesn't exist, or the connected account doesn't see it. Check owner and repo%s. If it is private, its owner must give the account (or this GitHub App) access.", in.target(), orNumber(in))
	case http.StatusGone:
		return told("%s is gone: issues are switched off in %s, or this one was deleted.", in.target(), repo)
	case http.StatusUnprocessableEntity:
		return told("GitHub refuses the issue: %s. Correct that and try again.", reasons(answer))
	}
	return fault(ctx, err)
}

func (in writeInput) target() string {
	if in.Number == 0 {
		return "The repository " + in.Owner + "/" + in.Repo
	}
	return fmt.Sprintf("Issue %d of %s/%s", in.Number, in.Owner, in.Repo)
}

func orNumber(in writeInput) string {
	if in.Number == 0 {
		return ""
	}
	return ", and the number"
}

// fault explains what all of GitHub's addresses answer alike.
func fault(ctx context.Context, err error) error {
	if limit, ok := errors.AsType[*gh.RateLimitError](err); ok {
		return told("GitHub's rate limit for this account is used up. Try again %s.", at(ctx, limit.Rate.Reset.Time))
	}
	if limit, ok := errors.AsType[*gh.AbuseRateLimitError](err); ok {
		return told("GitHub asks to slow down. Wait %s, then send fewer requests.", pause(limit.RetryAfter))
	}
	if _, ok := errors.AsType[*gh.RedirectionError](err); ok {
		return told("The repository or issue has moved. Find its new name with github_search_issues and use that.")
	}
	answer, ok := errors.AsType[*gh.ErrorResponse](err)
	if !ok {
		return err
	}
	switch status(err) {
	case http.StatusUnauthorized:
		return told("GitHub doesn't accept the connected account's credential any more. Disconnect GitHub on the connections page and connect it again.")
	case http.StatusForbidden:
		return forbidden(answer)
	case http.StatusTooManyRequests:
		return told("GitHub asks to slow down. Wait a minute, then send fewer requests.")
	}
	return told("GitHub refuses (status %d): %s.", status(err), reasons(answer))
}

// forbidden tells the three kinds apart that a person can do something about.
func forbidden(answer *gh.ErrorResponse) error {
	if link := ssoLink(answer.Response.Header.Get("X-GitHub-SSO")); link != "" {
		return told("The organization wants the connected account to sign in with its own sign-on first. Ask the user to open %s and try again.", link)
	}
	if strings.Contains(answer.Message, "not accessible by integration") {
		return told("The GitHub App isn't installed on this repository, or lacks the permission. Ask the user to open https://github.com/settings/installations, give the app access to the repository, and try again.")
	}
	if strings.Contains(answer.Message, "OAuth App access restrictions") {
		return told("The organization doesn't allow this app. Ask the user to request its approval at https://github.com/settings/applications, and try again.")
	}
	return told("The connected account may not do that: %s. Ask the repository's owner for access, or choose another repository.", reasons(answer))
}

// ssoLink is the address in "required; url=https://…", if it is one of https.
func ssoLink(header string) string {
	_, link, ok := strings.Cut(header, "url=")
	u, err := url.Parse(link)
	if !ok || err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(link) > 500 {
		return ""
	}
	return u.String()
}

// status is the HTTP status of GitHub's answer, or 0.
func status(err error) int {
	answer, ok := errors.AsType[*gh.ErrorResponse](err)
	if !ok || answer.Response == nil {
		return 0
	}
	return answer.Response.StatusCode
}

// reasons is what GitHub says, field by field, short and on one line.
func reasons(answer *gh.ErrorResponse) string {
	parts := []string{answer.Message}
	for _, e := range answer.Errors[:min(len(answer.Errors), 5)] {
		parts = append(parts, strings.Join(strings.Fields(e.Field+" "+e.Code+" "+e.Message), " "))
	}
	text := strings.Join(strings.Fields(strings.Join(parts, "; ")), " ")
	if text = strings.Trim(text, " ;."); text == "" {
		return "it doesn't say why"
	}
	return clip(text, 300)
}

func at(ctx context.Context, reset time.Time) string {
	if reset.IsZero() {
		return "in a minute"
	}
	wait := max(reset.Sub(tools.Info(ctx).Now()), time.Second)
	return fmt.Sprintf("at %s (in %s)", reset.UTC().Format("15:04:05 UTC"), wait.Round(time.Second))
}

func pause(wait *time.Duration) string {
	if wait == nil || *wait <= 0 {
		return "a minute"
	}
	return wait.Round(time.Second).String()
}

func told(format string, args ...any) error {
	return &tools.Error{Message: fmt.Sprintf(format, args...)}
}
