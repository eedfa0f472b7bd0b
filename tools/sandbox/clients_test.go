package sandbox

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v89/github"
	gcal "google.golang.org/api/calendar/v3"
	"google.golang.org/api/option"
)

func (w *world) githubClient(token string) *github.Client {
	w.t.Helper()
	c, err := github.NewClient(github.WithAuthToken(token), github.WithEnterpriseURLs(w.github, w.github))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// bearerTransport adds the token, as Latchkey's bound client does.
type bearerTransport string

func (t bearerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(t))
	return http.DefaultTransport.RoundTrip(r)
}

func (w *world) calendarClient(token string) *gcal.Service {
	w.t.Helper()
	svc, err := gcal.NewService(context.Background(), option.WithEndpoint(w.google+"/calendar/v3/"),
		option.WithHTTPClient(&http.Client{Transport: bearerTransport(token)}))
	if err != nil {
		w.t.Fatal(err)
	}
	return svc
}

func TestGoGitHub(t *testing.T) {
	for name, change := range map[string]func(*Config){"OAuth App": func(*Config) {}, "GitHub App": asApp} {
		t.Run(name, func(t *testing.T) {
			w, ctx := newWorld(t, change), context.Background()
			c := w.githubClient(str(w.connectGitHub("alice", "scope", "repo user:email"), "access_token"))
			me, _, err := c.Users.Get(ctx, "")
			if err != nil || me.GetLogin() != AliceLogin || me.GetEmail() != AliceEmail {
				t.Fatalf("user %v, %v", me, err)
			}
			repo, _, err := c.Repositories.Get(ctx, AliceLogin, "garden")
			if err != nil || !repo.GetPrivate() || repo.GetFullName() != AliceLogin+"/garden" {
				t.Fatalf("repo %v, %v", repo, err)
			}
			made, _, err := c.Issues.Create(ctx, AliceLogin, "garden", &github.IssueRequest{Title: github.Ptr("Buy twine"), Labels: &[]string{"urgent"}})
			if err != nil || made.GetNumber() != 4 || made.GetState() != "open" || made.GetUser().GetLogin() != AliceLogin {
				t.Fatalf("made %v, %v", made, err)
			}
			edited, _, err := c.Issues.Edit(ctx, AliceLogin, "garden", 4, &github.IssueRequest{State: github.Ptr("closed"), StateReason: github.Ptr("not_planned")})
			if err != nil || edited.GetState() != "closed" || edited.GetStateReason() != "not_planned" || edited.ClosedAt == nil {
				t.Fatalf("edited %v, %v", edited, err)
			}
			found, _, err := c.Search.Issues(ctx, "is:issue is:closed author:@me repo:alice-dev/garden twine", nil)
			if err != nil || found.GetTotal() != 1 || found.Issues[0].GetTitle() != "Buy twine" {
				t.Fatalf("found %v, %v", found, err)
			}
		})
	}
}

func TestGoCalendar(t *testing.T) {
	w := newWorld(t)
	svc := w.calendarClient(str(w.connectGoogle("alice"), "access_token"))
	today := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	list, err := svc.Events.List("primary").SingleEvents(true).OrderBy("startTime").
		TimeMin(today.Format(time.RFC3339)).TimeMax(today.AddDate(0, 0, 1).Format(time.RFC3339)).Do()
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, e := range list.Items {
		titles = append(titles, e.Summary)
	}
	if got := strings.Join(titles, ", "); got != "Stand-up, Design review, Lunch with Priya" {
		t.Errorf("today is %s", got)
	}
	made, err := svc.Events.Insert("primary", &gcal.Event{Summary: "Tea", Location: "Kitchen",
		Start:     &gcal.EventDateTime{DateTime: "2026-03-12T15:00:00+01:00"},
		End:       &gcal.EventDateTime{DateTime: "2026-03-12T15:30:00+01:00"},
		Attendees: []*gcal.EventAttendee{{Email: "priya@sandbox.example"}}}).SendUpdates("all").Do()
	if err != nil || made.HtmlLink == "" || made.Attendees[0].ResponseStatus != "needsAction" || made.Organizer.Email != AliceEmail {
		t.Fatalf("made %+v, %v", made, err)
	}
	patched, err := svc.Events.Patch("primary", made.Id, &gcal.Event{Summary: "Coffee", NullFields: []string{"Location"}}).Do()
	if err != nil || patched.Summary != "Coffee" || patched.Location != "" || patched.Start.DateTime != made.Start.DateTime {
		t.Fatalf("patched %+v, %v", patched, err)
	}
	if err := svc.Events.Delete("primary", made.Id).Do(); err != nil {
		t.Fatal(err)
	}
	gone, err := svc.Events.Get(AliceEmail, made.Id).Do()
	if err != nil || gone.Status != "cancelled" {
		t.Fatalf("after the delete: %+v, %v", gone, err)
	}
	if err := svc.Events.Delete("primary", made.Id).Do(); err == nil || !strings.Contains(err.Error(), "410") {
		t.Errorf("second delete: %v", err)
	}
}
