package sandbox

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGitHubAuthorizationRefusals(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name   string
		change []string
		status int
		shows  string
	}{
		{"unknown client", []string{"client_id", "somebody"}, 404, "No such application"},
		{"no client", []string{"client_id", "-"}, 404, "No such application"},
		{"unregistered redirect", []string{"redirect_uri", "https://evil.example/callback"}, 400, "redirect_uri_mismatch"},
		{"redirect below a registered one", []string{"redirect_uri", callback + "/github/more"}, 400, "redirect_uri_mismatch"},
		{"redirect with another port", []string{"redirect_uri", "http://127.0.0.1:9/callback/github"}, 400, "redirect_uri_mismatch"},
		{"redirect with a query", []string{"redirect_uri", callback + "/github?x=1"}, 400, "redirect_uri_mismatch"},
		{"plain PKCE", []string{"code_challenge_method", "plain"}, 302, ""},
		{"PKCE without a method", []string{"code_challenge_method", "-"}, 302, ""},
		{"short challenge", []string{"code_challenge", "abc"}, 302, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			link := w.githubURL(tt.change...)
			shown := w.do("GET", link, "")
			u, _ := url.Parse(link)
			pressed := w.post(w.github+"/login/oauth/authorize", values(u.Query(), "account", AliceLogin))
			for _, r := range []reply{shown, pressed} {
				if r.status != tt.status || !strings.Contains(r.text, tt.shows) {
					t.Errorf("status %d, %s", r.status, r.text)
				}
				to, _ := url.Parse(r.header.Get("Location"))
				if q := to.Query(); tt.status == 302 && (q.Get("error") != "invalid_request" || q.Get("state") != "st-1" || q.Has("code")) {
					t.Errorf("redirects to %s", to)
				}
			}
		})
	}
}

func TestGitHubDecision(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct{ name, account string }{{"cancel", ""}, {"the decoy", DecoyLogin}, {"nobody", "mallory"}, {"an address", AliceEmail}} {
		t.Run(tt.name, func(t *testing.T) {
			u, _ := url.Parse(w.githubURL())
			r := w.post(w.github+"/login/oauth/authorize", values(u.Query(), "account", tt.account))
			to, _ := url.Parse(r.header.Get("Location"))
			want := url.Values{"error": {"access_denied"}, "error_description": {"The user has denied your application access."}, "state": {"st-1"}}
			if diff := cmp.Diff(want, to.Query()); diff != "" || !strings.HasPrefix(to.String(), callback+"/github?") {
				t.Errorf("%s: %s", to, diff)
			}
		})
	}
	q := w.approve(w.githubURL("redirect_uri", "-"), "alice")
	if q.Get("state") != "st-1" || q.Get("code") == "" || len(q) != 2 {
		t.Errorf("approved: %v", q)
	}
	if r := w.post(w.github+"/login/oauth/access_token", w.githubForm("code", q.Get("code"), "redirect_uri", "-")); r.json["access_token"] == nil {
		t.Errorf("without a redirect_uri at both ends: %s", r.text)
	}
}

func TestGitHubTokenRefusals(t *testing.T) {
	for _, tt := range []struct {
		name      string
		authorize []string
		form      []string
		before    func(*world, string)
		want      string
	}{
		{"wrong secret", nil, []string{"client_secret", "guess"}, nil, "incorrect_client_credentials"},
		{"no secret", nil, []string{"client_secret", "-"}, nil, "incorrect_client_credentials"},
		{"unknown client", nil, []string{"client_id", "somebody"}, nil, "incorrect_client_credentials"},
		{"unknown code", nil, []string{"code", "made-up"}, nil, "bad_verification_code"},
		{"no code", nil, []string{"code", "-"}, nil, "bad_verification_code"},
		{"wrong verifier", nil, []string{"code_verifier", verifier + "x"}, nil, "bad_verification_code"},
		{"no verifier", nil, []string{"code_verifier", "-"}, nil, "bad_verification_code"},
		{"verifier for a request without PKCE", []string{"code_challenge", "-", "code_challenge_method", "-"}, nil, nil, "bad_verification_code"},
		{"another registered redirect", nil, []string{"redirect_uri", callback + "/other"}, nil, "bad_verification_code"},
		{"unregistered redirect", nil, []string{"redirect_uri", "https://evil.example/"}, nil, "redirect_uri_mismatch"},
		{"grant type", nil, []string{"grant_type", "password"}, nil, "unsupported_grant_type"},
		{"ten minutes later", nil, nil, func(w *world, _ string) { w.clock.advance(codeLife) }, "bad_verification_code"},
		{"replay", nil, nil, func(w *world, code string) {
			w.post(w.github+"/login/oauth/access_token", w.githubForm("code", code))
		}, "bad_verification_code"},
		{"after a wrong verifier", nil, nil, func(w *world, code string) {
			w.post(w.github+"/login/oauth/access_token", w.githubForm("code", code, "code_verifier", "x"))
		}, "bad_verification_code"},
		{"revoked before", nil, nil, func(w *world, _ string) { w.Revoke(AliceLogin) }, "bad_verification_code"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			code := w.approve(w.githubURL(tt.authorize...), "alice").Get("code")
			if tt.before != nil {
				tt.before(w, code)
			}
			form := w.githubForm(append([]string{"code", code}, tt.form...)...)
			r := w.post(w.github+"/login/oauth/access_token", form)
			if r.status != 200 || r.json["error"] != tt.want || r.json["access_token"] != nil {
				t.Errorf("%d %s", r.status, r.text)
			}
		})
	}
}

func TestGitHubTokenAnswers(t *testing.T) {
	w := newWorld(t)
	code := w.approve(w.githubURL("scope", "repo public_repo,read:user nonsense user"), "bob").Get("code")
	form := w.githubForm("code", code, "client_id", "-", "client_secret", "-")
	req, _ := http.NewRequest("POST", w.github+"/login/oauth/access_token", strings.NewReader(form.Encode()))
	req.SetBasicAuth("gh-client", "gh-secret")
	r := w.do("POST", req.URL.String(), form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Authorization", req.Header.Get("Authorization"))
	v, err := url.ParseQuery(r.text)
	if err != nil || v.Get("scope") != "repo,user" || v.Get("token_type") != "bearer" || !strings.HasPrefix(v.Get("access_token"), "gho_") || v.Has("expires_in") {
		t.Fatalf("form answer %q", r.text)
	}
	user := w.do("GET", w.github+"/api/v3/user", "", "Authorization", "token "+v.Get("access_token"))
	if user.status != 200 || user.header.Get("X-OAuth-Scopes") != "repo, user" || user.json["login"] != BobLogin {
		t.Errorf("user %d %v %s", user.status, user.header, user.text)
	}
	w.clock.advance(1000 * 24 * time.Hour)
	if got := w.user(v.Get("access_token")); got != 200 {
		t.Errorf("an OAuth App's token ended: %d", got)
	}
	if again := w.connectGitHub("bob", "scope", "-"); again["scope"] != "repo,user" {
		t.Errorf("without a scope parameter: %v", again)
	}
}

func TestGitHubAppRotation(t *testing.T) {
	w := newWorld(t, asApp)
	first := w.connectGitHub("alice")
	if first["expires_in"] != 28800.0 || first["refresh_token_expires_in"] != 15897600.0 || first["scope"] != "" ||
		!strings.HasPrefix(str(first, "access_token"), "ghu_") || !strings.HasPrefix(str(first, "refresh_token"), "ghr_") {
		t.Fatalf("tokens %v", first)
	}
	refresh := func(token string, pairs ...string) reply {
		return w.post(w.github+"/login/oauth/access_token", values(w.githubForm("grant_type", "refresh_token", "refresh_token", token), pairs...))
	}
	if r := refresh(str(first, "refresh_token"), "client_secret", "guess"); r.json["error"] != "incorrect_client_credentials" {
		t.Errorf("with a wrong secret: %s", r.text)
	}
	if r := refresh(str(first, "access_token")); r.json["error"] != "bad_refresh_token" {
		t.Errorf("an access token refreshes: %s", r.text)
	}
	second := refresh(str(first, "refresh_token")).json
	if w.user(str(first, "access_token")) != 401 || w.user(str(second, "access_token")) != 200 {
		t.Error("a refresh must end the old access token, and bring a new one")
	}
	if r := refresh(str(first, "refresh_token")); r.status != 200 || r.json["error"] != "bad_refresh_token" {
		t.Errorf("a spent refresh token: %s", r.text)
	}
	w.clock.advance(githubAppLife)
	if w.user(str(second, "access_token")) != 401 {
		t.Error("the token lives longer than eight hours")
	}
	w.clock.advance(githubRefreshLife)
	if r := refresh(str(second, "refresh_token")); r.json["error"] != "bad_refresh_token" {
		t.Errorf("an old refresh token: %s", r.text)
	}
}

func TestGitHubRevocation(t *testing.T) {
	w := newWorld(t)
	one, two := str(w.connectGitHub("alice"), "access_token"), str(w.connectGitHub("alice"), "access_token")
	bobs := str(w.connectGitHub("bob"), "access_token")
	call := func(what, user, secret, body string) int {
		req, _ := http.NewRequest("DELETE", w.github, nil)
		req.SetBasicAuth(user, secret)
		return w.do("DELETE", w.github+"/api/v3/applications/gh-client/"+what, body, "Authorization", req.Header.Get("Authorization")).status
	}
	alive := func(want ...int) {
		t.Helper()
		if diff := cmp.Diff(want, []int{w.user(one), w.user(two), w.user(bobs)}); diff != "" {
			t.Error(diff)
		}
	}
	body := `{"access_token":"` + one + `"}`
	for _, tt := range []struct {
		what, user, secret, body string
		want                     int
	}{
		{"token", "gh-client", "guess", body, 401},
		{"token", "somebody", "gh-secret", body, 401},
		{"token", "gh-client", "gh-secret", `{}`, 422},
		{"token", "gh-client", "gh-secret", `{"token":"x"}`, 422},
		{"token", "gh-client", "gh-secret", `{"access_token":"gho_unknown"}`, 404},
		{"other", "gh-client", "gh-secret", body, 404},
	} {
		if got := call(tt.what, tt.user, tt.secret, tt.body); got != tt.want {
			t.Errorf("%v: %d", tt, got)
		}
	}
	alive(200, 200, 200)
	if got := call("token", "gh-client", "gh-secret", body); got != 204 {
		t.Errorf("token: %d", got)
	}
	alive(401, 200, 200)
	if got := call("grant", "gh-client", "gh-secret", `{"access_token":"`+two+`"}`); got != 204 {
		t.Errorf("grant: %d", got)
	}
	alive(401, 401, 200)
}

func TestGitHubAPIRefusals(t *testing.T) {
	w, app := newWorld(t), newWorld(t, asApp)
	tokens := map[string]string{
		"none": "", "unknown": "gho_made-up",
		"alice":  str(w.connectGitHub("alice"), "access_token"),
		"bob":    str(w.connectGitHub("bob"), "access_token"),
		"public": str(w.connectGitHub("alice", "scope", "public_repo"), "access_token"),
		"bare":   str(w.connectGitHub("bob", "scope", "read:user"), "access_token"),
		"google": str(w.connectGoogle("alice"), "access_token"),
		"app":    str(app.connectGitHub("alice"), "access_token"),
	}
	garden, guide := "/repos/alice-dev/garden", "/repos/"+PublicRepo
	for _, tt := range []struct {
		name, who, call, body string
		status                int
		says                  string
	}{
		{"no token", "none", "GET /user", "", 401, "Requires authentication"},
		{"unknown token", "unknown", "GET /user", "", 401, "Bad credentials"},
		{"Google's token", "google", "GET /user", "", 401, "Bad credentials"},
		{"unknown path", "alice", "GET /nothing", "", 404, "Not Found"},
		{"unknown method", "alice", "PUT /user", "", 404, "Not Found"},
		{"unknown repository", "alice", "GET /repos/alice-dev/nothing", "", 404, "Not Found"},
		{"another's private repository", "bob", "GET " + garden, "", 404, "Not Found"},
		{"another's private issues", "bob", "GET " + garden + "/issues", "", 404, "Not Found"},
		{"another's private issue", "bob", "GET " + garden + "/issues/1", "", 404, "Not Found"},
		{"write to another's private one", "bob", "POST " + garden + "/issues", `{"title":"x"}`, 404, "Not Found"},
		{"the decoy's repository", "alice", "GET /repos/decoy-nobody/decoy-secrets", "", 404, "Not Found"},
		{"own private one without repo", "public", "GET " + garden, "", 404, "Not Found"},
		{"own private one without repo, App", "app", "GET " + garden, "", 200, "garden"},
		{"escaped slash", "alice", "GET /repos/alice-dev%2Fgarden", "", 404, "Not Found"},
		{"write without a scope", "bare", "POST " + guide + "/issues", `{"title":"x"}`, 404, "Not Found"},
		{"write with public_repo", "public", "POST " + guide + "/issues", `{"title":"Spelling"}`, 201, "Spelling"},
		{"write where the App isn't", "app", "POST " + guide + "/issues", `{"title":"x"}`, 403, "Resource not accessible by integration"},
		{"edit another's", "alice", "PATCH " + guide + "/issues/1", `{"title":"x"}`, 403, "Must have admin rights"},
		{"unknown issue", "alice", "PATCH " + garden + "/issues/99", `{"title":"x"}`, 404, "Not Found"},
		{"no title", "alice", "POST " + garden + "/issues", `{"body":"x"}`, 422, "missing_field"},
		{"blank title", "alice", "POST " + garden + "/issues", `{"title":" "}`, 422, "missing_field"},
		{"long title", "alice", "POST " + garden + "/issues", `{"title":"` + strings.Repeat("é", 257) + `"}`, 422, "too long"},
		{"long body", "alice", "POST " + garden + "/issues", `{"title":"x","body":"` + strings.Repeat("x", 65537) + `"}`, 422, "too long"},
		{"unknown field", "alice", "POST " + garden + "/issues", `{"title":"x","colour":"red"}`, 422, "colour"},
		{"field in other case", "alice", "POST " + garden + "/issues", `{"Title":"x"}`, 422, "Title"},
		{"state on create", "alice", "POST " + garden + "/issues", `{"title":"x","state":"closed"}`, 422, "state"},
		{"title of another type", "alice", "POST " + garden + "/issues", `{"title":["x"]}`, 400, "Problems parsing JSON"},
		{"no JSON", "alice", "POST " + garden + "/issues", `title=x`, 400, "Problems parsing JSON"},
		{"unknown state", "alice", "PATCH " + garden + "/issues/1", `{"state":"done"}`, 422, "state"},
		{"unknown reason", "alice", "PATCH " + garden + "/issues/1", `{"state":"closed","state_reason":"tired"}`, 422, "state_reason"},
		{"unknown assignee", "alice", "PATCH " + garden + "/issues/1", `{"assignees":["bob-builds"]}`, 422, "assignees"},
		{"unknown milestone", "alice", "PATCH " + garden + "/issues/1", `{"milestone":7}`, 422, "milestone"},
		{"unknown list state", "alice", "GET " + garden + "/issues?state=done", "", 422, "state"},
		{"search for nothing", "alice", "GET /search/issues?q=", "", 422, "missing"},
		{"search in another's", "bob", "GET /search/issues?q=repo:alice-dev/garden", "", 422, "cannot be searched"},
		{"search in an unknown one", "bob", "GET /search/issues?q=repo:no/where", "", 422, "cannot be searched"},
		{"search too long", "alice", "GET /search/issues?q=" + strings.Repeat("x", 257), "", 422, "256"},
		{"search too deep", "alice", "GET /search/issues?q=x&page=11&per_page=100", "", 422, "first 1000"},
		{"search with an unknown qualifier", "alice", "GET /search/issues?q=milestone:one", "", 422, "milestone:one"},
		{"search with OR", "alice", "GET /search/issues?q=tomato+OR+basil", "", 422, "OR"},
		{"search sorted by stars", "alice", "GET /search/issues?q=x&sort=stars", "", 422, "sort"},
		{"App search without a kind", "app", "GET /search/issues?q=tomatoes", "", 422, "is:issue"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			method, path, _ := strings.Cut(tt.call, " ")
			in, header := w, []string{}
			if tt.who == "app" {
				in = app
			}
			if token := tokens[tt.who]; token != "" {
				header = append(header, "Authorization", "Bearer "+token)
			}
			r := in.do(method, in.github+"/api/v3"+path, tt.body, header...)
			if r.status != tt.status || !strings.Contains(r.text, tt.says) {
				t.Errorf("%d %s", r.status, r.text)
			}
			if tt.status >= 400 && (r.json["message"] == nil || tt.status == 422 && r.json["documentation_url"] == nil) {
				t.Errorf("not GitHub's shape: %s", r.text)
			}
		})
	}
	auth := "Bearer " + tokens["alice"]
	if r := w.do("GET", w.github+"/api/v3/user", "", "Authorization", auth, "User-Agent", ""); r.status != 403 || !strings.Contains(r.text, "User-Agent") {
		t.Errorf("without a User-Agent: %d %s", r.status, r.text)
	}
	if r := w.do("GET", w.github+"/api/v3/user", "", "Authorization", auth, "X-GitHub-Api-Version", "2019-01-01"); r.status != 400 {
		t.Errorf("unknown API version: %d", r.status)
	}
	for _, path := range []string{"/api/v3/repos/../user", "/api/v3//user", "/api/v3/./user"} {
		if r := w.do("GET", w.github+path, "", "Authorization", auth); r.status != 404 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

func TestGitHubSearch(t *testing.T) {
	w := newWorld(t)
	token := str(w.connectGitHub("alice"), "access_token")
	titles := func(query string) (list []string, link string) {
		t.Helper()
		r := w.do("GET", w.github+"/api/v3/search/issues?"+query, "", "Authorization", "Bearer "+token)
		items, ok := r.json["items"].([]any)
		if r.status != 200 || !ok {
			t.Fatalf("%s: %d %s", query, r.status, r.text)
		}
		for _, i := range items {
			list = append(list, str(i.(map[string]any), "title"))
		}
		return list, r.header.Get("Link")
	}
	for query, want := range map[string][]string{
		"tomatoes":                              {"Water the tomatoes before the heat wave"},
		`"heat wave" repo:ALICE-dev/garden`:     {"Water the tomatoes before the heat wave"},
		"is:open is:issue author:@me label:bug": {"GPX export drops the last waypoint"},
		"repo:alice-dev/garden repo:alice-dev/trail-notes -is:closed label:enhancement": {"Draw the raised beds to scale", "Add the ridge path above the lake"},
		"state:closed user:alice-dev": {"Seed order: basil, chard, snap peas"},
		"is:public":                   {"Index the cornflower once", "Photo credits are missing on the orchid pages", "Index lists the cornflower twice"},
		"is:pr":                       {"Keep the last waypoint in the export", "Index the cornflower once"},
		"is:merged":                   nil,
		"is:draft":                    nil,
		"walnut":                      nil,
		"created:>=2026-03-08 is:private is:issue": {"Water the tomatoes before the heat wave", "GPX export drops the last waypoint"},
		"created:2026-03-01..2026-03-04":           {"Draw the raised beds to scale", "Photo credits are missing on the orchid pages", "Add the ridge path above the lake"},
		"no:label author:@me is:issue":             {"Seed order: basil, chard, snap peas"},
	} {
		got, _ := titles("q=" + url.QueryEscape(query))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	all, _ := titles("q=author:@me&sort=created&order=asc")
	var paged []string
	next := "q=author:@me&sort=created&order=asc&per_page=2"
	for range 3 {
		list, link := titles(next)
		paged = append(paged, list...)
		before, _, _ := strings.Cut(link, `>; rel="next"`)
		next = before[strings.LastIndex(before, "?")+1:]
	}
	if diff := cmp.Diff(all, paged); diff != "" || len(all) != 6 {
		t.Errorf("pages of two: %s", diff)
	}
}
