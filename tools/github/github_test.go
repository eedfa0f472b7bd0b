package github_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/github"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

// module is GitHub's, made once.
var module = sync.OnceValue(github.Module)

func call(t *testing.T, name, arguments string, server http.HandlerFunc) (json.RawMessage, error) {
	t.Helper()
	return tooltest.At(t, module(), server).Call(t, name, arguments)
}

// goOn is the tool's arguments with the cursor, as the bench seals it, to a page of
// which some items were given.
func goOn(tool, arguments string, page, given int) string {
	place := fmt.Sprintf(`{"p":%d}`, page)
	if given > 0 {
		place = fmt.Sprintf(`{"p":%d,"s":%d}`, page, given)
	}
	owner := tool + " " + string(tools.Canonical(json.RawMessage(arguments), "cursor"))
	cursor := base64.RawURLEncoding.EncodeToString([]byte(owner + "\x00" + place))
	return strings.TrimSuffix(arguments, "}") + `,"cursor":"` + cursor + `"}`
}

var nextCursor = regexp.MustCompile(`"next_cursor":"([^"]*)"`)

// opened is the result with the place that its cursor leads to in clear.
func opened(result json.RawMessage) string {
	return nextCursor.ReplaceAllStringFunc(string(result), func(field string) string {
		text, _ := base64.RawURLEncoding.DecodeString(nextCursor.FindStringSubmatch(field)[1])
		_, place, _ := strings.Cut(string(text), "\x00")
		return `"next_cursor":` + place
	})
}

func message(t *testing.T, result json.RawMessage, err error) string {
	t.Helper()
	return tooltest.Message(t, result, err)
}

const issue = `{"number":7,"title":"It fails","state":"open","body":"` + "BODY" + `","comments":2,
	"html_url":"https://github.com/octo/app/issues/7","repository_url":"https://api.github.com/repos/octo/app",
	"user":{"login":"mona"},"author_association":"MEMBER","assignees":[{"login":"lisa"}],"labels":[{"name":"bug"}],"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-03T03:04:05Z"}`

func TestSearch(t *testing.T) {
	got, err := call(t, "github_search_issues", goOn("github_search_issues",
		`{"query":"repo:octo/app label:\"a b\"","type":"pull_request","state":"closed","sort":"updated"}`, 2, 0),
		func(w http.ResponseWriter, r *http.Request) {
			want := url.Values{"q": {`repo:octo/app label:"a b" is:pull-request state:closed`}, "sort": {"updated"}, "page": {"2"}, "per_page": {"20"}}
			if diff := cmp.Diff(want, r.URL.Query()); diff != "" || r.URL.Path != "/search/issues" || r.Header.Get("Authorization") != "" {
				t.Errorf("%s %s: %s", r.Method, r.URL, diff)
			}
			w.Header().Set("Link", `<https://api.github.com/search/issues?q=x&page=3>; rel="next"`)
			io.WriteString(w, `{"total_count":41,"incomplete_results":true,"items":[`+strings.Replace(issue, "BODY", strings.Repeat("é", 400), 1)+`]}`)
		})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"total":41,"issues":[{"repo":"octo/app","number":7,"title":"It fails","state":"open",` +
		`"author":"mona","author_association":"MEMBER","labels":["bug"],"updated_at":"2026-01-03T03:04:05Z","body":"` + strings.Repeat("é", 250) + `…","body_truncated":true}],` +
		`"next_cursor":{"p":3},"incomplete":true,"untrusted":"` + tools.Untrusted + `"}`
	if diff := cmp.Diff(want, opened(got)); diff != "" {
		t.Error(diff)
	}
}

func TestSearchFields(t *testing.T) {
	for fields, want := range map[string]string{
		`"author"`:              `"author":"mona","author_association":"MEMBER","labels":[]`,
		`"labels","updated_at"`: `"labels":["bug"],"updated_at":"2026-01-03T03:04:05Z"`,
		`"body"`:                `"labels":[],"body":"BODY"`,
	} {
		got, err := call(t, "github_search_issues", `{"query":"x","fields":[`+fields+`]}`, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"total_count":1,"items":[`+issue+`]}`)
		})
		if found := `[{"repo":"octo/app","number":7,"title":"It fails","state":"open",` + want + `}]`; err != nil || !strings.Contains(string(got), found) {
			t.Errorf("%s: got %s, %v", fields, got, err)
		}
	}
}

func TestSearchDefaults(t *testing.T) {
	got, err := call(t, "github_search_issues", `{"query":"crash"}`, func(w http.ResponseWriter, r *http.Request) {
		want := url.Values{"q": {"crash is:issue"}, "page": {"1"}, "per_page": {"20"}}
		if diff := cmp.Diff(want, r.URL.Query()); diff != "" {
			t.Error(diff)
		}
		w.Header().Set("X-GitHub-SSO", "partial-results; organizations=1")
		io.WriteString(w, `{"total_count":0,"items":[]}`)
	})
	if want := `{"total":0,"issues":[],"incomplete":true,"untrusted":`; err != nil || !strings.HasPrefix(string(got), want) {
		t.Errorf("got %s, %v", got, err)
	}
}

// The qualifiers of the other arguments are for all of a query, on GitHub's advanced
// search where a plain one wouldn't understand it.
func TestSearchCombines(t *testing.T) {
	for query, want := range map[string]string{
		`label:bug OR label:crash`:      `(label:bug OR label:crash) is:issue state:open`,
		`(a OR b) AND author:@me`:       `((a OR b) AND author:@me) is:issue state:open`,
		`"to be OR not" crash`:          `"to be OR not" crash is:issue state:open`,
		`ORACLE "f(x)"`:                 `ORACLE "f(x)" is:issue state:open`,
		`"a)" OR "(b" NOT label:"x (y"`: `("a)" OR "(b" NOT label:"x (y") is:issue state:open`,
	} {
		arguments, err := json.Marshal(map[string]any{"query": query, "state": "open"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = call(t, "github_search_issues", string(arguments), func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			if advanced := strings.HasPrefix(want, "("); q.Get("q") != want || (q.Get("advanced_search") == "true") != advanced {
				t.Errorf("got %v, want %q", q, want)
			}
			io.WriteString(w, `{"total_count":0,"items":[]}`)
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A query of one kind gets no qualifier of the other, with which it would find nothing.
func TestSearchKinds(t *testing.T) {
	for _, c := range []struct{ query, kind, want string }{
		{`is:pr author:@me`, "", `is:pr author:@me is:pull-request`},
		{`type:PR crash`, "pull_request", `type:PR crash is:pull-request`},
		{`review-requested:@me`, "", `review-requested:@me is:pull-request`},
		{`is:merged base:main`, "", `is:merged base:main is:pull-request`},
		{`is:issue crash`, "", `is:issue crash is:issue`},
		{`-is:pr crash`, "", `-is:pr crash is:issue`},
		{`NOT is:pr crash`, "", `NOT is:pr crash is:issue`},
		{`"is:pr" crash review:`, "", `"is:pr" crash review: is:issue`},
		{`(is:pr label:a) OR (is:issue label:b)`, "", `((is:pr label:a) OR (is:issue label:b))`},
		{`(is:pr label:a) OR (is:issue label:b)`, "issue", `((is:pr label:a) OR (is:issue label:b)) is:issue`},
		{`is:pr`, "issue", ""},
		{`is:issue`, "pull_request", ""},
	} {
		arguments, err := json.Marshal(map[string]string{"query": c.query, "type": c.kind})
		if err != nil {
			t.Fatal(err)
		}
		result, err := call(t, "github_search_issues", strings.Replace(string(arguments), `,"type":""`, "", 1), func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query().Get("q"); q != c.want {
				t.Errorf("got %q, want %q", q, c.want)
			}
			io.WriteString(w, `{"total_count":0,"items":[]}`)
		})
		if c.want != "" && err != nil {
			t.Error(err)
		}
		if c.want == "" && !strings.Contains(message(t, result, err), "type is "+c.kind) {
			t.Errorf("%s: got %v", c.query, err)
		}
	}
}

// What doesn't fit into a result comes with the cursor, from the same page.
func TestSearchFitsTheBudget(t *testing.T) {
	page := strings.TrimSuffix(strings.Repeat(strings.Replace(issue, "It fails", strings.Repeat("<", 300), 1)+",", 50), ",")
	serve := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") != "1" {
			t.Errorf("asked for %s", r.URL)
		}
		io.WriteString(w, `{"total_count":50,"items":[`+page+`]}`)
	}
	total, next := 0, ""
	for range 10 {
		result, err := call(t, "github_search_issues", `{"query":"x","cursor":"`+next+`"}`, serve)
		var out struct {
			Issues     []struct{ Number int }
			NextCursor string `json:"next_cursor"`
		}
		if err != nil || json.Unmarshal(result, &out) != nil || len(result) > tools.Budget {
			t.Fatalf("%d bytes, %v", len(result), err)
		}
		total, next = total+len(out.Issues), out.NextCursor
		if next == "" {
			break
		}
		if want := fmt.Sprintf(`"next_cursor":{"p":1,"s":%d}`, total); !strings.Contains(opened(result), want) {
			t.Errorf("%s, want %s", opened(result), want)
		}
	}
	if total != 50 || next != "" {
		t.Errorf("%d in all, then %q", total, next)
	}
}

// GitHub's own link goes beyond what GitHub shows.
func TestSearchEnds(t *testing.T) {
	got, err := call(t, "github_search_issues", goOn("github_search_issues", `{"query":"crash"}`, 50, 0), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", `<https://api.github.com/search/issues?q=x&page=51>; rel="next"`)
		io.WriteString(w, `{"total_count":5000,"items":[]}`)
	})
	if err != nil || strings.Contains(string(got), "next_cursor") {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestWriteCreates(t *testing.T) {
	got, err := call(t, "github_write_issue", `{"repo":"octo/.github","title":"It fails","body":"<b>","labels":["bug"]}`,
		func(w http.ResponseWriter, r *http.Request) {
			expect(t, r, "POST", "/repos/octo/.github/issues", `{"title":"It fails","body":"<b>","labels":["bug"]}`)
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, issue)
		})
	want := `{"number":7,"state":"open","url":"https://github.com/octo/app/issues/7"}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestWriteChangesOnlyWhatIsGiven(t *testing.T) {
	for arguments, body := range map[string]string{
		`"state":"closed"`:                              `{"state":"closed"}`,
		`"body":""`:                                     `{"body":""}`,
		`"labels":[]`:                                   `{"labels":[]}`,
		`"title":"a","body":"b"`:                        `{"title":"a","body":"b"}`,
		`"state":"open","labels":["a","b"]`:             `{"labels":["a","b"],"state":"open"}`,
		`"assignees":["mona"]`:                          `{"assignees":["mona"]}`,
		`"state":"closed","state_reason":"not_planned"`: `{"state":"closed","state_reason":"not_planned"}`,
	} {
		got, err := call(t, "github_write_issue", `{"repo":"octo/app","number":7,`+arguments+`}`,
			func(w http.ResponseWriter, r *http.Request) {
				expect(t, r, "PATCH", "/repos/octo/app/issues/7", body)
				io.WriteString(w, issue)
			})
		if err != nil || !strings.HasPrefix(string(got), `{"number":7,"state":"open"`) {
			t.Errorf("%s: got %s, %v", arguments, got, err)
		}
	}
}

func expect(t *testing.T, r *http.Request, method, path, body string) {
	t.Helper()
	got, err := io.ReadAll(r.Body)
	if err != nil || r.Method != method || r.URL.EscapedPath() != path || strings.TrimSpace(string(got)) != body {
		t.Errorf("got %s %s %s, %v; want %s %s %s", r.Method, r.URL.EscapedPath(), got, err, method, path, body)
	}
}

// Nothing of this may reach GitHub.
func TestBadInput(t *testing.T) {
	for _, c := range []struct{ tool, arguments, want string }{
		{"github_search_issues", `{}`, "query is missing"},
		{"github_search_issues", `{"query":""}`, "The query is empty"},
		{"github_search_issues", `{"query":"` + strings.Repeat("x", 6000) + `"}`, "too long"},
		{"github_search_issues", `{"query":"x","type":"both"}`, "type must be one of issue, pull_request"},
		{"github_search_issues", `{"query":"x","page":1}`, "page is not an argument"},
		{"github_search_issues", `{"query":"x","cursor":"!"}`, "not of this call"},
		{"github_search_issues", `{"query":"a) OR (b"}`, "pair up"},
		{"github_search_issues", `{"query":"a OR \"b"}`, "pair up"},
		{"github_search_issues", `{"query":"(a"}`, "pair up"},
		{"github_search_issues", `{"query":"x","user":"bob"}`, "user is not an argument"},
		{"github_search_issues", `{"query":"x","Query":"y"}`, "Query is not an argument"},
		{"github_search_code", `{"query":" "}`, "The query is empty"},
		{"github_search_repositories", `{"query":"x","sort":"created"}`, "sort must be one of"},
		{"github_context", `{"login":"bob"}`, "login is not an argument"},
		{"github_get_file", `{"repo":"octo/app","path":"../x"}`, "can't be read"},
		{"github_get_file", `{"repo":"octo/app","path":"a//b"}`, "can't be read"},
		{"github_get_file", `{"repo":"octo/app","path":"a/./b"}`, "can't be read"},
		{"github_get_file", `{"repo":"octo/app","path":"a%2fb"}`, "can't be read"},
		{"github_get_file", `{"repo":"octo/app","path":"a\\b"}`, "can't be read"},
		{"github_get_file", `{"repo":"octo/app","path":"a;b"}`, "can't be read"},
		{"github_get_file", `{"repo":"octo/app","path":"a\nb"}`, "can't be read"},
		{"github_get_file", `{"repo":"octo/app","path":"a\u202eb"}`, "can't be read"},
		{"github_get_file", `{"repo":"octo/app","start_line":3,"end_line":2}`, "before start_line 3"},
		{"github_get_file", `{"repo":"octo/../app"}`, "no repository"},
		{"github_list_commits", `{"repo":"octo/app","since":"2026-01-02T03:04:05"}`, "since is"},
		{"github_list_commits", `{"repo":"octo/app","until":"yesterday"}`, "until is"},
		{"github_list_commits", `{"repo":"octo/app","cursor":"e30!"}`, "not of this call"},
		{"github_get_commit", `{"repo":"octo/app"}`, "ref is missing"},
		{"github_get_commit", `{"repo":"octo/app","ref":"feature/x"}`, "give its SHA"},
		{"github_get_commit", `{"repo":"octo/app","ref":".."}`, "give its SHA"},
		{"github_get_commit", `{"repo":"octo/app","ref":""}`, "give its SHA"},
		{"github_list_branches", `{"repo":"octo"}`, "no repository"},
		{"github_read_issue", `{"repo":"octo/app","number":0}`, "number must be"},
		{"github_read_issue", `{"repo":"octo/app","number":1.5}`, "number must be"},
		{"github_write_issue", `{"repo":"octo/app"}`, "give a title"},
		{"github_write_issue", `{"repo":"octo/app","title":""}`, "title is blank"},
		{"github_write_issue", `{"repo":"octo/app","title":"a","state":"closed"}`, "A new issue is open"},
		{"github_write_issue", `{"repo":"octo/app","title":"\u200b "}`, "title is blank"},
		{"github_write_issue", `{"repo":"octo/app","number":7}`, "Nothing to change"},
		{"github_write_issue", `{"repo":"octo/app","number":7,"state":"open","state_reason":"completed"}`, "give state closed"},
		{"github_write_issue", `{"repo":"octo/app","number":-1,"title":"a"}`, "number must be"},
		{"github_write_issue", `{"repo":"octo/app","number":0,"title":"a"}`, "number must be"},
		{"github_write_issue", `{"repo":"octo/app","title":"a","token":"x"}`, "token is not an argument"},
		{"github_write_issue", `{"repo":"app","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"/app","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"../app","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"a/b/app","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"https://evil.example/app","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"octo/..","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"octo/.","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"octo/app/../../user","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"octo/app?x=","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"octo/app#","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"octo/a%2fb","title":"a"}`, "no repository"},
		{"github_write_issue", `{"repo":"octo/app\n","title":"a"}`, "no repository"},
	} {
		result, err := call(t, c.tool, c.arguments, func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%s: sent %s %s", c.arguments, r.Method, r.URL)
		})
		if got := message(t, result, err); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.arguments, got, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	const search, write, change = `{"query":"x"}`, `{"repo":"octo/app","title":"a"}`, `{"repo":"octo/app","number":7,"title":"a"}`
	for name, c := range map[string]struct {
		arguments string
		status    int
		header    map[string]string
		body      string
		want      string
	}{
		"dead credential":        {search, 401, nil, `{"message":"Bad credentials"}`, "connect it again"},
		"rate limit":             {search, 403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000090"}, `{}`, "at 08:01:30 UTC (in 1m30s)"},
		"rate limit with 429":    {search, 429, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000090"}, `{}`, "in 1m30s"},
		"slow down":              {write, 403, map[string]string{"Retry-After": "30"}, `{"documentation_url":"https://docs.github.com/rest/x#about-secondary-rate-limits"}`, "Wait 30s"},
		"slow down, no time":     {write, 403, nil, `{"documentation_url":"https://docs.github.com/rest/x#about-secondary-rate-limits"}`, "Wait a minute"},
		"slow down, other link":  {write, 403, map[string]string{"Retry-After": "90"}, `{"message":"You have exceeded a secondary rate limit.","documentation_url":"https://docs.github.com/rest/x"}`, "Wait 1m30s"},
		"slow down, odd time":    {write, 403, map[string]string{"Retry-After": "-9"}, `{"message":"You have exceeded a secondary rate limit."}`, "Wait 1m0s"},
		"429 alone":              {write, 429, nil, `{}`, "slow down"},
		"429 with a time":        {write, 429, map[string]string{"Retry-After": "30"}, `{}`, "Wait 30s"},
		"no such repository":     {write, 404, nil, `{"message":"Not Found"}`, "The repository octo/app doesn't exist, or the connected account doesn't see it"},
		"no such issue":          {change, 404, nil, `{"message":"Not Found"}`, "Issue 7 of octo/app doesn't exist"},
		"gone":                   {change, 410, nil, `{"message":"Issues are disabled for this repo"}`, "Issue 7 of octo/app is gone"},
		"invalid field":          {write, 422, nil, `{"message":"Validation Failed","errors":[{"resource":"Issue","field":"title","code":"missing_field"}]}`, "The repository octo/app: GitHub refuses what was given: Validation Failed; title missing_field. Correct"},
		"invalid query":          {search, 422, nil, `{"message":"Validation Failed","errors":[{"message":"The listed repositories cannot be searched","field":"q","code":"invalid"}]}`, "can't run this query: Validation Failed; q invalid The listed"},
		"app not installed":      {write, 403, nil, `{"message":"Resource not accessible by integration"}`, "https://github.com/settings/installations"},
		"app restrictions":       {write, 403, nil, `{"message":"Although you appear to have the correct authorization credentials, the x organization has enabled OAuth App access restrictions"}`, "https://github.com/settings/applications"},
		"app restrictions, app":  {write, 403, map[string]string{"X-OAuth-Client-Id": "Iv1.8a61f9b3a7aba766"}, `{"message":"the x organization has enabled OAuth App access restrictions"}`, "https://github.com/settings/connections/applications/Iv1.8a61f9b3a7aba766, and"},
		"app restrictions, odd":  {write, 403, map[string]string{"X-OAuth-Client-Id": "../../x"}, `{"message":"the x organization has enabled OAuth App access restrictions"}`, "https://github.com/settings/applications, and"},
		"single sign-on":         {write, 403, map[string]string{"X-GitHub-SSO": "required; url=https://github.com/orgs/octo/sso?authorization_request=A1"}, `{}`, "open https://github.com/orgs/octo/sso?authorization_request=A1 and"},
		"single sign-on, odd":    {write, 403, map[string]string{"X-GitHub-SSO": "required; url=javascript:alert(1)"}, `{"message":"no"}`, "may not do that: no. Ask"},
		"single sign-on, script": {write, 403, map[string]string{"X-GitHub-SSO": "required; url=javascript://github.com/%0aalert(1)"}, `{"message":"no"}`, "may not do that: no. Ask"},
		"single sign-on, user":   {write, 403, map[string]string{"X-GitHub-SSO": "required; url=https://github.com@evil.example/"}, `{"message":"no"}`, "may not do that: no. Ask"},
		"not allowed":            {change, 403, nil, `{"message":"Must have admin rights\n to Repository."}`, "may not do that: Must have admin rights to Repository. Ask"},
		"conflict":               {change, 409, nil, `{"message":"It changed"}`, "Issue 7 of octo/app: GitHub refuses because of its present state: It changed. Read"},
		"moved":                  {change, 301, map[string]string{"Location": "https://api.github.com/repositories/1/issues/7"}, `{"message":"Moved Permanently"}`, "has moved"},
		"moved elsewhere":        {change, 307, map[string]string{"Location": "https://evil.example/"}, `{}`, "has moved"},
		"broken while reading":   {search, 502, nil, `<html>`, "Try again in a minute"},
		"broken while writing":   {write, 502, nil, `<html>`, "outcome is unknown"},
		"broken while changing":  {change, 500, nil, `{}`, "outcome is unknown"},
		"odd status":             {write, 418, nil, `{"message":"` + strings.Repeat("x", 5000) + `"}`, "(status 418): xxx"},
		"no reason":              {write, 400, nil, ``, "it doesn't say why"},
	} {
		t.Run(name, func(t *testing.T) {
			tool, sent := "github_write_issue", 0
			if c.arguments == search {
				tool = "github_search_issues"
			}
			result, err := call(t, tool, c.arguments, func(w http.ResponseWriter, r *http.Request) {
				sent++
				for key, value := range c.header {
					w.Header().Set(key, value)
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			if got := message(t, result, err); !strings.Contains(got, c.want) || len(got) > 600 {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if sent != 1 {
				t.Errorf("%d requests", sent)
			}
		})
	}
}

// What the bound client says is for who made it, so it must come through.
func TestTransportErrorsStay(t *testing.T) {
	want := errors.New("from the bound client")
	client := &http.Client{Transport: failing{want}}
	for _, tool := range github.Module().Tools {
		arguments := reads()[tool.Spec().Name]
		if example, ok := writes[tool.Spec().Name]; ok {
			arguments = example
		}
		if _, err := tool.Call(t.Context(), client, json.RawMessage(arguments)); !errors.Is(err, want) {
			t.Errorf("%s: got %v", tool.Spec().Name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }
