package calendar

import (
	"context"
	"slices"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	// room is what a list may take of a result's budget; the rest is for the cursor.
	room = tools.Budget - 6<<10
	// mostRequests bounds one answer where Google's pages are (nearly) empty.
	mostRequests = 40
)

// A place is where a list goes on: a page of the provider's and how many of its items
// were given.
type place struct {
	Token string `json:"t,omitempty"`
	Skip  int    `json:"s,omitempty"`
	Done  bool   `json:"d,omitempty"`
}

// A feed is one calendar's events in order of time, read page by page.
type feed struct {
	place
	calendar string
	fetch    func(token string) (*google.Events, error)
	page     *google.Events // at Token; nil before it was fetched
}

// A merge reads several feeds as one in order of time.
type merge struct {
	feeds    []*feed
	zone     string // that the first feed is in, unless set before
	requests int
}

// A head is the next event of a feed.
type head struct {
	feed  *feed
	event *google.Event
	start time.Time
}

// next is the earliest of the feeds' heads. It's nil at the end of all feeds, or after
// too many requests to know which is the earliest.
func (m *merge) next(ctx context.Context) (first *head, err error) {
	for _, f := range m.feeds {
		ready, err := m.fill(ctx, f)
		if err != nil || !ready {
			return nil, err
		}
		if f.Done {
			continue
		}
		e := f.page.Items[f.Skip]
		if start := startOf(e, f.page.TimeZone); first == nil || start.Before(first.start) {
			first = &head{f, e, start}
		}
	}
	return first, nil
}

// fill fetches pages until f has an event to give or is done; false is for too many
// requests.
func (m *merge) fill(ctx context.Context, f *feed) (bool, error) {
	for f.settle(); !f.Done && f.page == nil; f.settle() {
		if m.requests >= mostRequests {
			return false, nil
		}
		if err := m.fetch(ctx, f); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (m *merge) fetch(ctx context.Context, f *feed) (err error) {
	if m.requests++; len(m.feeds) > 3 || m.requests > 3 {
		tools.Info(ctx).Progress(float64(m.requests), float64(max(len(m.feeds), m.requests)), "Reading "+f.calendar)
	}
	if f.page, err = f.fetch(f.Token); err != nil {
		return err
	}
	if f.page == nil {
		return unanswered(about{})
	}
	f.page.Items = slices.DeleteFunc(f.page.Items, func(e *google.Event) bool { return e == nil })
	if m.zone == "" {
		m.zone = f.page.TimeZone
	}
	return nil
}

// settle moves on from a page all of which was given.
func (f *feed) settle() {
	if f.page != nil && f.Skip >= len(f.page.Items) {
		f.place, f.page = place{Token: f.page.NextPageToken, Done: f.page.NextPageToken == ""}, nil
	}
}

// places are where the feeds go on; more says whether any of them does.
func (m *merge) places() (list []place, more bool) {
	for _, f := range m.feeds {
		f.settle()
		list, more = append(list, f.place), more || !f.Done
	}
	return list, more
}

// take is as many events as show makes of the feeds' next ones, at most so many and
// within the budget.
func take[T any](ctx context.Context, m *merge, most int, show func(*head) T) ([]T, error) {
	list, left := []T{}, room
	for len(list) < most {
		h, err := m.next(ctx)
		if err != nil || h == nil {
			return list, err
		}
		item := show(h)
		if left -= size(item) + 1; left < 0 && len(list) > 0 {
			return list, nil
		}
		list = append(list, item)
		h.feed.Skip++
	}
	return list, nil
}

// startOf is when e begins; a day begins at midnight in the calendar's zone.
func startOf(e *google.Event, zone string) time.Time {
	if e.Start == nil {
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339, e.Start.DateTime); err == nil {
		return t
	}
	where, err := time.LoadLocation(zone)
	if err != nil {
		where = time.UTC
	}
	t, _ := time.ParseInLocation(time.DateOnly, e.Start.Date, where)
	return t
}

// where is zone, or nil where that is none.
func (m *merge) where() *time.Location {
	where, err := itsZone(m.zone)
	if err != nil {
		return nil
	}
	return where
}
