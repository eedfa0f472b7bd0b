package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

// fault is err as a sentence, if it is GitHub's answer; errors of the transport
// stay as they are, for who made the client. about is what was asked for, as a
// sentence's beginning: "Issue 7 of octo/app".
func fault(ctx context.Context, err error, about string) error {
	if status(err) >= http.StatusInternalServerError {
		return told("GitHub has a problem at the moment (status %d). Try again in a minute.", status(err))
	}
	return refusal(ctx, err, about)
}

// writeFault is fault for a request that changes something. look says how to find
// out whether it did: "look with github_read_issue".
func writeFault(ctx context.Context, err error, about, look string) error {
	if status(err) >= http.StatusInternalServerError {
		return told("GitHub has a problem (status %d), and the outcome is unknown: %s whether it happened before you try again.", status(err), look)
	}
	if status(err) == http.StatusNotFound {
		return told("%s doesn't exist, or the connected account doesn't see it or may not write there: GitHub answers all of these alike. "+
			"Check the spelling; if that is right, the repository's owner must let the account (or this GitHub App) write.", about)
	}
	return refusal(ctx, err, about)
}

// searchFault is fault for a search.
func searchFault(ctx context.Context, err error) error {
	if answer, ok := errors.AsType[*gh.ErrorResponse](err); ok && status(err) == http.StatusUnprocessableEntity {
		return told("GitHub can't run this query: %s. Check its qualifiers (repo:owner/name, user:, label:) and that this account sees what they name.", reasons(answer))
	}
	return fault(ctx, err, "This search")
}

// refusal explains what GitHub answers alike everywhere.
func refusal(ctx context.Context, err error, about string) error {
	if limit, ok := errors.AsType[*gh.RateLimitError](err); ok {
		return told("GitHub's rate limit for this account is used up. Try again %s.", until(ctx, limit.Rate.Reset.Time))
	}
	if limit, ok := errors.AsType[*gh.AbuseRateLimitError](err); ok {
		return told("GitHub asks to slow down. Wait %s, then send fewer requests.", pause(limit.RetryAfter))
	}
	if _, ok := errors.AsType[*gh.RedirectionError](err); ok {
		return told("%s has moved, with its repository most likely. Find the new name with github_search_repositories and use that.", about)
	}
	answer, ok := errors.AsType[*gh.ErrorResponse](err)
	if !ok {
		return err
	}
	return answered(answer, about)
}

// answered is the sentence for each status.
func answered(answer *gh.ErrorResponse, about string) error {
	switch code := answer.Response.StatusCode; code {
	case http.StatusUnauthorized:
		return told("GitHub doesn't accept the connected account's credential any more. Disconnect GitHub on the connections page and connect it again.")
	case http.StatusForbidden:
		return forbidden(answer)
	case http.StatusNotFound:
		return told("%s doesn't exist, or the connected account doesn't see it. Check the spelling. If it is private, its owner must give the account (or this GitHub App) access.", about)
	case http.StatusGone:
		return told("%s is gone: it was deleted, or that feature is switched off in its repository.", about)
	case http.StatusConflict:
		return told("%s: GitHub refuses because of its present state: %s. Read it again before you try anew.", about, reasons(answer))
	case http.StatusUnprocessableEntity:
		return told("%s: GitHub refuses what was given: %s. Correct that and try again.", about, reasons(answer))
	case http.StatusTooManyRequests:
		return slowDown(answer)
	default:
		return told("GitHub refuses (status %d): %s.", code, reasons(answer))
	}
}

// slowDown is for a limit that go-github doesn't know by its link to GitHub's pages.
func slowDown(answer *gh.ErrorResponse) error {
	seconds, err := strconv.Atoi(answer.Response.Header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 24*60*60 {
		seconds = 60
	}
	wait := time.Duration(seconds) * time.Second
	return told("GitHub asks to slow down. Wait %s, then send fewer requests.", pause(&wait))
}

// forbidden tells apart what a person can do something about.
func forbidden(answer *gh.ErrorResponse) error {
	if strings.Contains(strings.ToLower(answer.Message), "secondary rate limit") {
		return slowDown(answer)
	}
	if link := ssoLink(answer.Response.Header.Get("X-GitHub-SSO")); link != "" {
		return told("The organization wants the connected account to sign in with its own sign-on first. Ask the user to open %s and try again.", link)
	}
	if strings.Contains(answer.Message, "not accessible by integration") {
		return told("The GitHub App isn't installed on this repository, or lacks the permission. Ask the user to open https://github.com/settings/installations, give the app access to the repository, and try again.")
	}
	if strings.Contains(answer.Message, "OAuth App access restrictions") {
		return told("The organization doesn't allow this app. Ask the user to request its approval at %s, and try again.", appLink(answer.Response.Header))
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

var clientID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// appLink is the page on which a person asks an organization to approve the app,
// whose client ID GitHub's answers name.
func appLink(header http.Header) string {
	const settings = "https://github.com/settings/"
	id := header.Get("X-OAuth-Client-Id")
	if !clientID.MatchString(id) || dots(id) {
		return settings + "applications"
	}
	return settings + "connections/applications/" + id
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
	text := strings.Trim(line(strings.Join(parts, "; "), 300), " ;.")
	if text == "" {
		return "it doesn't say why"
	}
	return text
}

// until says when a rate limit ends.
func until(ctx context.Context, reset time.Time) string {
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
