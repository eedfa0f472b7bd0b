package github

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

func listNotifications() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_list_notifications",
		Title:       "List notifications",
		Description: "List the account's unread GitHub notifications, newest first. They stay unread.",
		Can:         "List your unread notifications, without marking them as read",
		Provider:    provider,
		Scopes:      []string{"notifications"},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{
			{Method: http.MethodGet, Host: host, Path: "/notifications", Query: []string{"since", "page", "per_page"}},
		},
	}, notifications)
}

type notificationsInput struct {
	Since  string `json:"since,omitempty" jsonschema:"date, or time with zone"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`
}

type notificationsOutput struct {
	Notifications []notification `json:"notifications"`
	NextCursor    string         `json:"next_cursor,omitempty"`
	Untrusted     string         `json:"untrusted"`
}

type notification struct {
	Repo      string `json:"repo"`
	Type      string `json:"type"`
	Number    int    `json:"number,omitempty"`
	Title     string `json:"title"`
	Reason    string `json:"reason"`
	UpdatedAt string `json:"updated_at"`
}

// A thread is what the tool reads of a notification.
type thread struct {
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
	Subject struct {
		Title string `json:"title"`
		Type  string `json:"type"`
		URL   string `json:"url"`
	} `json:"subject"`
	Reason    string        `json:"reason"`
	UpdatedAt *gh.Timestamp `json:"updated_at"`
}

func (t thread) brief() notification {
	return notification{
		Repo: t.Repository.FullName, Type: line(t.Subject.Type, nameLength), Number: numberIn(t.Subject.URL),
		Title: line(t.Subject.Title, titleLength), Reason: t.Reason, UpdatedAt: when(t.UpdatedAt),
	}
}

// numberIn is the or pull request's in its address in the API, or 0.
func numberIn(api string) int {
	parts := strings.Split(api, "/")
	if len(parts) < 2 || parts[len(parts)-2] != "issues" && parts[len(parts)-2] != "pulls" {
		return 0
	}
	n, _ := strconv.Atoi(parts[len(parts)-1])
	return n
}

func notifications(ctx context.Context, api *http.Client, in notificationsInput) (notificationsOutput, error) {
	since, err := moment("since", in.Since)
	if err != nil {
		return notificationsOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return notificationsOutput{}, err
	}
	out := notificationsOutput{Untrusted: tools.Untrusted}
	out.Notifications, out.NextCursor, err = listed(ctx, in.Cursor, "", func(ctx context.Context, at place) ([]notification, int, error) {
		query := at.query(listSize)
		if since != "" {
			query.Set("since", since)
		}
		var page []thread
		resp, err := get(ctx, client, address("notifications"), query, &page)
		return each(page, thread.brief), nextPage(resp), err
	})
	if err != nil {
		return notificationsOutput{}, notificationsFault(ctx, err)
	}
	return out, nil
}

// notificationsFault knows that GitHub has no permission for notifications that a
// GitHub App could be given.
func notificationsFault(ctx context.Context, err error) error {
	answer, ok := errors.AsType[*gh.ErrorResponse](err)
	if ok && status(err) == http.StatusForbidden && strings.Contains(answer.Message, "not accessible by integration") {
		return told("Notifications can't be listed here: GitHub doesn't give them to GitHub Apps, and this server uses one. " +
			"Find what is new with github_search_issues, like involves:@me updated:>=2026-01-31.")
	}
	return fault(ctx, err, "The list of notifications")
}
