package sandbox

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
)

func TestGoogleAuthorizationRefusals(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name   string
		change []string
		status int
		shows  string
	}{
		{"unknown client", []string{"client_id", "somebody"}, 401, "invalid_client"},
		{"no redirect", []string{"redirect_uri", "-"}, 400, "redirect_uri_mismatch"},
		{"unregistered redirect", []string{"redirect_uri", callback + "/google/"}, 400, "redirect_uri_mismatch"},
		{"implicit", []string{"response_type", "token"}, 400, "unsupported_response_type"},
		{"no scope", []string{"scope", " "}, 400, "Missing required parameter: scope"},
		{"unknown scope", []string{"scope", "openid calendar"}, 400, "invalid_scope"},
		{"plain PKCE", []string{"code_challenge_method", "plain"}, 400, "S256"},
		{"PKCE without a method", []string{"code_challenge_method", "-"}, 400, "S256"},
		{"access type", []string{"access_type", "always"}, 400, "access_type"},
		{"prompt", []string{"prompt", "please"}, 400, "prompt"},
		{"no prompt", []string{"prompt", "none"}, 302, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			link := w.googleURL(tt.change...)
			u, _ := url.Parse(link)
			pressed := w.post(w.google+"/o/oauth2/v2/auth", values(u.Query(), "account", AliceEmail, "granted", eventsRW))
			for _, r := range []reply{w.do("GET", link, ""), pressed} {
				if r.status != tt.status || !strings.Contains(r.text, tt.shows) || strings.Contains(r.header.Get("Location"), "code=") {
					t.Errorf("status %d, %s", r.status, r.text)
				}
			}
		})
	}
	if r := w.do("GET", w.googleURL()+"&scope=openid", ""); r.status != 400 || !strings.Contains(r.text, "single value: scope") {
		t.Errorf("a parameter twice: %d %s", r.status, r.text)
	}
}

func TestGoogleDecision(t *testing.T) {
	w := newWorld(t)
	denied := url.Values{"error": {"access_denied"}, "state": {"st-2"}, "iss": {w.google}}
	if diff := cmp.Diff(denied, w.approve(w.googleURL(), "cancel")); diff != "" {
		t.Errorf("cancel: %s", diff)
	}
	if diff := cmp.Diff(denied, w.approve(w.googleURL("scope", eventsRW), "alice", eventsRW)); diff != "" {
		t.Errorf("all unticked: %s", diff)
	}
	u, _ := url.Parse(w.googleURL())
	if r := w.post(w.google+"/o/oauth2/v2/auth", values(u.Query(), "account", DecoyEmail)); !strings.Contains(r.header.Get("Location"), "error=access_denied") {
		t.Errorf("the decoy: %v", r.header)
	}
	list := calendarScope + ".calendarlist.readonly"
	q := w.approve(w.googleURL("scope", "openid email profile "+eventsRW+" "+list), "alice", eventsRW)
	want := strings.Join([]string{list, emailScope, profileScope, "openid"}, " ")
	if q.Get("scope") != want || q.Get("iss") != w.google || q.Get("state") != "st-2" {
		t.Errorf("one unticked: %v", q)
	}
	tok := w.post(w.google+"/token", w.googleForm("code", q.Get("code"))).json
	if tok["scope"] != want || w.events(str(tok, "access_token")) != 403 {
		t.Errorf("what was unticked is granted: %v", tok)
	}
	more := w.approve(w.googleURL("scope", "openid "+eventsRO, "include_granted_scopes", "true"), "alice")
	if !strings.Contains(more.Get("scope"), list) || !strings.Contains(more.Get("scope"), eventsRO) {
		t.Errorf("with what was granted before: %v", more)
	}
}

func TestGoogleTokenRefusals(t *testing.T) {
	for _, tt := range []struct {
		name      string
		authorize []string
		form      []string
		before    func(*world, string)
		status    int
		want      string
	}{
		{"wrong secret", nil, []string{"client_secret", "guess"}, nil, 401, "invalid_client"},
		{"no secret", nil, []string{"client_secret", "-"}, nil, 401, "invalid_client"},
		{"unknown client", nil, []string{"client_id", "somebody"}, nil, 401, "invalid_client"},
		{"GitHub's client", nil, []string{"client_id", "gh-client", "client_secret", "gh-secret"}, nil, 401, "invalid_client"},
		{"unknown code", nil, []string{"code", "made-up"}, nil, 400, "invalid_grant"},
		{"wrong verifier", nil, []string{"code_verifier", verifier + "x"}, nil, 400, "invalid_grant"},
		{"no verifier", nil, []string{"code_verifier", "-"}, nil, 400, "invalid_grant"},
		{"verifier for a request without PKCE", []string{"code_challenge", "-", "code_challenge_method", "-"}, nil, nil, 400, "invalid_grant"},
		{"no redirect", nil, []string{"redirect_uri", "-"}, nil, 400, "redirect_uri_mismatch"},
		{"another redirect", nil, []string{"redirect_uri", callback + "/github"}, nil, 400, "redirect_uri_mismatch"},
		{"no grant type", nil, []string{"grant_type", "-"}, nil, 400, "unsupported_grant_type"},
		{"ten minutes later", nil, nil, func(w *world, _ string) { w.clock.advance(codeLife) }, 400, "invalid_grant"},
		{"replay", nil, nil, func(w *world, code string) { w.post(w.google+"/token", w.googleForm("code", code)) }, 400, "invalid_grant"},
		{"after a wrong verifier", nil, nil, func(w *world, code string) {
			w.post(w.google+"/token", w.googleForm("code", code, "code_verifier", "x"))
		}, 400, "invalid_grant"},
		{"GitHub's code", nil, nil, nil, 400, "invalid_grant"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			code := w.approve(w.googleURL(tt.authorize...), "alice").Get("code")
			if tt.name == "GitHub's code" {
				code = w.approve(w.githubURL(), "alice").Get("code")
			}
			if tt.before != nil {
				tt.before(w, code)
			}
			r := w.post(w.google+"/token", w.googleForm(append([]string{"code", code}, tt.form...)...))
			if r.status != tt.status || r.json["error"] != tt.want || r.json["access_token"] != nil {
				t.Errorf("%d %s", r.status, r.text)
			}
		})
	}
	w := newWorld(t)
	code := w.approve(w.googleURL(), "alice").Get("code")
	if r := w.do("POST", w.google+"/token", `{"code":"`+code+`"}`, "Content-Type", "application/json"); r.status != 401 {
		t.Errorf("JSON instead of a form: %d %s", r.status, r.text)
	}
	basic := "Basic Z28tY2xpZW50OmdvLXNlY3JldA==" // go-client:go-secret
	send := func(form url.Values) reply {
		return w.do("POST", w.google+"/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Authorization", basic)
	}
	if r := send(w.googleForm("code", code)); r.status != 401 {
		t.Errorf("two ways of authentication at once: %d %s", r.status, r.text)
	}
	if r := send(w.googleForm("code", code, "client_id", "-", "client_secret", "-")); r.status != 200 {
		t.Errorf("basic authentication: %d %s", r.status, r.text)
	}
}

func TestGoogleOffline(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		access, prompt string
		want           bool
	}{{"offline", "consent", true}, {"offline", "select_account consent", true}, {"offline", "-", false}, {"online", "consent", false}, {"-", "-", false}} {
		tok := w.connectGoogle("bob", "access_type", tt.access, "prompt", tt.prompt)
		if _, got := tok["refresh_token"]; got != tt.want {
			t.Errorf("%v: %v", tt, tok)
		}
		if tok["expires_in"] != 3599.0 || tok["token_type"] != "Bearer" || !strings.HasPrefix(str(tok, "access_token"), "ya29.") {
			t.Errorf("%v: %v", tt, tok)
		}
	}
}

func (w *world) googleRefreshes(token string, pairs ...string) reply {
	w.t.Helper()
	return w.post(w.google+"/token", values(w.googleForm("grant_type", "refresh_token", "refresh_token", token, "code_verifier", "-", "redirect_uri", "-"), pairs...))
}

func TestGoogleRotation(t *testing.T) {
	w := newWorld(t)
	first := w.connectGoogle("alice")
	other := w.connectGoogle("alice")
	w.clock.advance(googleAccessLife)
	if w.events(str(first, "access_token")) != 401 {
		t.Error("the access token lives longer than an hour")
	}
	second := w.googleRefreshes(str(first, "refresh_token"))
	if second.status != 200 || second.json["scope"] != first["scope"] || str(second.json, "refresh_token") == str(first, "refresh_token") {
		t.Fatalf("refreshed: %s", second.text)
	}
	if w.events(str(second.json, "access_token")) != 200 {
		t.Error("the new access token is refused")
	}
	if w.events(str(second.json, "refresh_token")) != 401 {
		t.Error("a refresh token calls the API")
	}
	for name, r := range map[string]reply{
		"unknown":      w.googleRefreshes("1//0made-up"),
		"access token": w.googleRefreshes(str(second.json, "access_token")),
		"more scope":   w.googleRefreshes(str(other, "refresh_token"), "scope", calendarScope),
		"wrong secret": w.googleRefreshes(str(other, "refresh_token"), "client_secret", "guess"),
	} {
		if r.status < 400 || r.json["access_token"] != nil {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	if w.events(str(second.json, "access_token")) != 200 {
		t.Error("a refused refresh ended something")
	}
	if r := w.googleRefreshes(str(first, "refresh_token")); r.status != 400 || r.json["error"] != "invalid_grant" {
		t.Errorf("a spent refresh token: %d %s", r.status, r.text)
	}
	if w.events(str(second.json, "access_token")) != 401 || w.googleRefreshes(str(second.json, "refresh_token")).status != 400 {
		t.Error("reuse must end the family")
	}
	if r := w.googleRefreshes(str(other, "refresh_token")); r.status != 200 {
		t.Errorf("reuse ended another family: %s", r.text)
	}
}

func TestGoogleRevocation(t *testing.T) {
	for _, which := range []string{"access_token", "refresh_token"} {
		for _, where := range []string{"form", "query"} {
			t.Run(which+" in the "+where, func(t *testing.T) {
				w := newWorld(t)
				one, two, bobs := w.connectGoogle("alice"), w.connectGoogle("alice"), w.connectGoogle("bob")
				send := func() reply {
					if where == "query" {
						return w.post(w.google+"/revoke?token="+url.QueryEscape(str(one, which)), nil)
					}
					return w.post(w.google+"/revoke", url.Values{"token": {str(one, which)}})
				}
				if r := send(); r.status != 200 {
					t.Fatalf("%d %s", r.status, r.text)
				}
				if w.events(str(one, "access_token")) != 401 || w.events(str(two, "access_token")) != 401 || w.googleRefreshes(str(two, "refresh_token")).status != 400 {
					t.Error("revoking must end the whole grant")
				}
				if w.events(str(bobs, "access_token")) != 200 {
					t.Error("alice's revocation ended bob's grant")
				}
				if r := send(); r.status != 400 || r.json["error"] != "invalid_token" {
					t.Errorf("again: %d %s", r.status, r.text)
				}
			})
		}
	}
}

func TestGoogleIdentity(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	provider, err := oidc.NewProvider(ctx, w.google)
	if err != nil {
		t.Fatal(err)
	}
	tok := w.connectGoogle("bob", "nonce", "n-1", "scope", "openid email profile")
	verified, err := provider.Verifier(&oidc.Config{ClientID: "go-client", Now: w.clock.now}).Verify(ctx, str(tok, "id_token"))
	if err != nil || verified.Nonce != "n-1" || verified.Subject != "104210000000000001002" {
		t.Fatalf("ID token %+v, %v", verified, err)
	}
	info := w.do("GET", w.google+"/v1/userinfo", "", "Authorization", "Bearer "+str(tok, "access_token"))
	want := map[string]any{"sub": verified.Subject, "email": BobEmail, "email_verified": true, "name": "Bob", "given_name": "Bob"}
	if diff := cmp.Diff(want, info.json); diff != "" {
		t.Error(diff)
	}
	bare := w.connectGoogle("bob", "scope", "openid")
	info = w.do("GET", w.google+"/v1/userinfo", "", "Authorization", "Bearer "+str(bare, "access_token"))
	if diff := cmp.Diff(map[string]any{"sub": verified.Subject}, info.json); diff != "" {
		t.Error(diff)
	}
	events := w.connectGoogle("bob", "scope", eventsRO)
	if r := w.do("GET", w.google+"/v1/userinfo", "", "Authorization", "Bearer "+str(events, "access_token")); r.status != 403 {
		t.Errorf("userinfo without a scope: %d", r.status)
	}
	if events["id_token"] != nil {
		t.Error("an ID token without openid")
	}
}

func TestCalendarRefusals(t *testing.T) {
	w := newWorld(t)
	tokens := map[string]string{
		"unknown": "ya29.made-up",
		"rw":      str(w.connectGoogle("alice"), "access_token"),
		"ro":      str(w.connectGoogle("alice", "scope", eventsRO), "access_token"),
		"list":    str(w.connectGoogle("alice", "scope", calendarScope+".calendarlist.readonly"), "access_token"),
		"bob":     str(w.connectGoogle("bob"), "access_token"),
		"github":  str(w.connectGitHub("alice"), "access_token"),
	}
	events, list := "/calendars/primary/events", "/users/me/calendarList"
	design := events + "/" + w.find(AliceEmail, "Design review")
	body := func(fields string) string {
		return `{"summary":"x","start":{"dateTime":"2026-03-12T10:00:00Z"},"end":{"dateTime":"2026-03-12T11:00:00Z"}` + fields + `}`
	}
	for _, tt := range []struct {
		name, who, call, body string
		status                int
		reason                string
	}{
		{"no token", "", "GET " + events, "", 401, "authError"},
		{"unknown token", "unknown", "GET " + events, "", 401, "authError"},
		{"GitHub's token", "github", "GET " + events, "", 401, "authError"},
		{"token in the query", "", "GET " + events + "?access_token=" + tokens["rw"], "", 401, "authError"},
		{"events without a scope", "list", "GET " + events, "", 403, "insufficientPermissions"},
		{"event without a scope", "list", "GET " + design, "", 403, "insufficientPermissions"},
		{"list without a scope", "rw", "GET " + list, "", 403, "insufficientPermissions"},
		{"insert with a reading scope", "ro", "POST " + events, body(""), 403, "insufficientPermissions"},
		{"patch with a reading scope", "ro", "PATCH " + design, `{"summary":"x"}`, 403, "insufficientPermissions"},
		{"delete with a reading scope", "ro", "DELETE " + design, "", 403, "insufficientPermissions"},
		{"free and busy without a scope", "rw", "POST /freeBusy", `{}`, 403, "insufficientPermissions"},
		{"another's calendar", "bob", "GET /calendars/alice@sandbox.example/events", "", 404, "notFound"},
		{"another's event", "bob", "GET " + design, "", 404, "notFound"},
		{"insert into another's", "bob", "POST /calendars/alice@sandbox.example/events", body(""), 404, "notFound"},
		{"the decoy's calendar", "rw", "GET /calendars/decoy@sandbox.example/events", "", 404, "notFound"},
		{"unknown path", "rw", "GET /nothing", "", 404, "notFound"},
		{"unknown method", "rw", "PUT " + design, "", 404, "notFound"},
		{"unknown parameter", "rw", "GET " + events + "?colour=red", "", 400, "invalidParameter"},
		{"parameter twice", "rw", "GET " + events + "?q=a&q=b", "", 400, "invalidParameter"},
		{"time without an offset", "rw", "GET " + events + "?timeMin=2026-03-10T00:00:00", "", 400, "invalidParameter"},
		{"empty range", "rw", "GET " + events + "?timeMin=2026-03-11T00:00:00Z&timeMax=2026-03-10T00:00:00Z", "", 400, "timeRangeEmpty"},
		{"order without single events", "rw", "GET " + events + "?orderBy=startTime", "", 400, "invalidParameter"},
		{"unknown order", "rw", "GET " + events + "?orderBy=title", "", 400, "invalidParameter"},
		{"unknown time zone", "rw", "GET " + events + "?timeZone=Mars/Olympus", "", 400, "invalidParameter"},
		{"no number", "rw", "GET " + events + "?maxResults=many", "", 400, "invalidParameter"},
		{"page token made up", "rw", "GET " + events + "?pageToken=abc", "", 400, "invalidParameter"},
		{"fields", "rw", "GET " + events + "?fields=items(id", "", 400, "invalidParameter"},
		{"send updates", "rw", "POST " + events + "?sendUpdates=everyone", body(""), 400, "invalidParameter"},
		{"send updates on delete", "rw", "DELETE " + design + "?sendUpdates=everyone", "", 400, "invalidParameter"},
		{"unknown field", "rw", "POST " + events, body(`,"colour":"red"`), 400, "badRequest"},
		{"field in other case", "rw", "POST " + events, body(`,"Location":"here"`), 400, "badRequest"},
		{"field of the answer", "rw", "POST " + events, body(`,"htmlLink":"x"`), 400, "badRequest"},
		{"unknown inner field", "rw", "POST " + events, body(`,"attendees":[{"mail":"a@b.example"}]`), 400, "parseError"},
		{"no JSON", "rw", "POST " + events, "summary=x", 400, "parseError"},
		{"no start", "rw", "POST " + events, `{"end":{"date":"2026-03-12"}}`, 400, "required"},
		{"no end", "rw", "POST " + events, `{"start":{"date":"2026-03-12"}}`, 400, "required"},
		{"end before start", "rw", "POST " + events, `{"start":{"date":"2026-03-12"},"end":{"date":"2026-03-11"}}`, 400, "timeRangeEmpty"},
		{"day and time", "rw", "POST " + events, `{"start":{"date":"2026-03-12"},"end":{"dateTime":"2026-03-12T10:00:00Z"}}`, 400, "invalid"},
		{"no time zone", "rw", "POST " + events, `{"start":{"dateTime":"2026-03-12T10:00:00"},"end":{"dateTime":"2026-03-12T11:00:00"}}`, 400, "required"},
		{"attendee", "rw", "POST " + events, body(`,"attendees":[{"email":"Bob"}]`), 400, "invalid"},
		{"visibility", "rw", "POST " + events, body(`,"visibility":"secret"`), 400, "invalid"},
		{"rule", "rw", "POST " + events, body(`,"recurrence":["EVERY DAY"]`), 400, "required"},
		{"id", "rw", "POST " + events, body(`,"id":"UPPER"`), 400, "invalid"},
		{"id that exists", "rw", "POST " + events, body(`,"id":"` + w.find(AliceEmail, "Dentist") + `"`), 409, "duplicate"},
		{"patch to nonsense", "rw", "PATCH " + design, `{"start":{"date":"2026-03-12"}}`, 400, "required"},
		{"patch without a start", "rw", "PATCH " + design, `{"start":null}`, 400, "required"},
		{"unknown event", "rw", "PATCH " + events + "/nothing", `{"summary":"x"}`, 404, "notFound"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			method, path, _ := strings.Cut(tt.call, " ")
			r := w.do(method, w.google+"/calendar/v3"+path, tt.body, "Authorization", "Bearer "+tokens[tt.who])
			e, _ := r.json["error"].(map[string]any)
			if r.status != tt.status || e == nil || e["code"] != float64(tt.status) || !strings.Contains(r.text, `"reason":"`+tt.reason+`"`) {
				t.Errorf("%d %s", r.status, r.text)
			}
			challenge := r.header.Get("WWW-Authenticate")
			if tt.status == 401 && !strings.Contains(challenge, "invalid_token") || tt.status == 403 && !strings.Contains(challenge, "insufficient_scope") {
				t.Errorf("WWW-Authenticate: %s", challenge)
			}
		})
	}
	for scheme, want := range map[string]int{"token ": 401, "Basic ": 401, "bearer ": 200} {
		if r := w.do("GET", w.google+"/calendar/v3"+events, "", "Authorization", scheme+tokens["rw"]); r.status != want {
			t.Errorf("scheme %q: %d", scheme, r.status)
		}
	}
	if r := w.do("PATCH", w.google+"/calendar/v3"+design, `{"summary":"x"}`, "Authorization", "Bearer "+tokens["rw"], "If-Match", `"old"`); r.status != 412 {
		t.Errorf("stale If-Match: %d", r.status)
	}
}

// find is the id of an event, by calendar and title.
func (w *world) find(calendar, title string) string {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cal := range w.state.Calendars {
		for _, e := range cal.Events {
			if cal.ID == calendar && e.Body["summary"] == title {
				return e.ID
			}
		}
	}
	w.t.Fatalf("no event %s", title)
	return ""
}

func TestCalendarLists(t *testing.T) {
	w := newWorld(t)
	token := str(w.connectGoogle("alice", "scope", calendarScope), "access_token")
	get := func(path string) map[string]any {
		t.Helper()
		r := w.do("GET", w.google+"/calendar/v3"+path, "", "Authorization", "Bearer "+token)
		if r.status != 200 {
			t.Fatalf("%s: %d %s", path, r.status, r.text)
		}
		return r.json
	}
	names := func(list map[string]any) (out []string) {
		for _, i := range list["items"].([]any) {
			out = append(out, str(i.(map[string]any), "summary"))
		}
		return out
	}
	if diff := cmp.Diff([]string{AliceEmail, "Garden"}, names(get("/users/me/calendarList"))); diff != "" {
		t.Error(diff)
	}
	events := "/calendars/primary/events?"
	if got := names(get(events + "q=room+design")); !slices.Equal(got, []string{"Design review"}) {
		t.Errorf("q: %v", got)
	}
	// Lunch is from 11:30 to 12:30 UTC; the range's ends are outside.
	for span, want := range map[string]int{
		"timeMin=2026-03-10T12:30:00Z&timeMax=2026-03-10T14:00:00Z": 0,
		"timeMin=2026-03-10T12:29:59Z&timeMax=2026-03-10T14:00:00Z": 1,
		"timeMin=2026-03-10T11:00:00Z&timeMax=2026-03-10T11:30:00Z": 0,
		"timeMin=2026-03-10T11:00:00Z&timeMax=2026-03-10T11:30:01Z": 1,
	} {
		if got := names(get(events + "singleEvents=true&" + span)); len(got) != want {
			t.Errorf("%s: %v", span, got)
		}
	}
	whole, apart := names(get(events+"q=stand-up")), names(get(events+"q=stand-up&singleEvents=true"))
	if len(whole) != 1 || len(apart) != 60 {
		t.Errorf("a recurring event: %d as a whole, %d taken apart", len(whole), len(apart))
	}
	var paged []string
	page, query := "", events+"singleEvents=true&orderBy=startTime&maxResults=20"
	for range 4 {
		list := get(query + page)
		paged = append(paged, names(list)...)
		page = "&pageToken=" + str(list, "nextPageToken")
	}
	if diff := cmp.Diff(names(get(events+"singleEvents=true&orderBy=startTime")), paged); diff != "" || page != "&pageToken=" {
		t.Errorf("pages: %s", diff)
	}
	next := str(get(query), "nextPageToken")
	if r := w.do("GET", w.google+"/calendar/v3"+events+"pageToken="+next, "", "Authorization", "Bearer "+token); r.status != 400 {
		t.Errorf("a page token with another query: %d", r.status)
	}
	got := get(events + "q=design&timeZone=America/New_York&fields=timeZone,items(summary,start/dateTime)")
	want := map[string]any{"timeZone": "America/New_York", "items": []any{map[string]any{"summary": "Design review", "start": map[string]any{"dateTime": "2026-03-10T05:00:00-04:00"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("time zone and fields: %s", diff)
	}
	busy := w.do("POST", w.google+"/calendar/v3/freeBusy", `{"timeMin":"2026-03-10T08:30:00Z","timeMax":"2026-03-10T11:00:00Z","items":[{"id":"primary"},{"id":"bob@sandbox.example"}]}`, "Authorization", "Bearer "+token)
	wantBusy := map[string]any{
		"primary": map[string]any{"busy": []any{map[string]any{"start": "2026-03-10T09:00:00Z", "end": "2026-03-10T10:00:00Z"}}},
		BobEmail:  map[string]any{"busy": []any{}, "errors": []any{map[string]any{"domain": "global", "reason": "notFound"}}},
	}
	if diff := cmp.Diff(wantBusy, busy.json["calendars"]); diff != "" {
		t.Errorf("free and busy: %s", diff)
	}
	one := get("/calendars/primary/events/" + w.find(AliceEmail, "Stand-up") + "_20260310T081500Z")
	if one["recurringEventId"] != w.find(AliceEmail, "Stand-up") || str(one["start"].(map[string]any), "dateTime") != "2026-03-10T09:15:00+01:00" {
		t.Errorf("one occurrence: %v", one)
	}
}
