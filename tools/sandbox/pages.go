package sandbox

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed page.html
var pageHTML string

// consent is the page on which a person decides.
type consent struct {
	Provider   string
	Client     string
	People     []choice
	Fixed      []string   // what is granted in any case
	Optional   []scopeBox // what can be unticked
	Parameters url.Values // of the request, carried to the decision
}

// A choice is a button.
type choice struct{ ID, Account, Text string }

// A scopeBox is a check box.
type scopeBox struct{ ID, Scope, Text string }

// notice is a page without a decision.
type notice struct{ Provider, Title, Text string }

func consentPage(v consent) answer {
	v.Parameters.Del("account") // the page's own names
	v.Parameters.Del("granted")
	return page(http.StatusOK, "consent", v)
}

// errorPage is what a person sees where a redirect would not be safe. The title is
// also in a header, for Approve.
func errorPage(status int, provider, title, text string) answer {
	return page(status, "notice", notice{provider, title, text}).with("X-Sandbox-Error", title)
}

func noWebsite(c *call, provider string) answer {
	if c.URL.Path != "/" || c.Method != http.MethodGet {
		return page(http.StatusNotFound, "notice", notice{provider, "Nothing here",
			"The sandbox has the API and the sign-in, not the website."})
	}
	return page(http.StatusOK, "notice", notice{provider, "Sandbox " + provider,
		"A stand-in for " + provider + " on this machine, with made-up people. Only its API and its sign-in exist."})
}

func page(status int, name string, view any) answer {
	var b bytes.Buffer
	t, err := template.New("").Parse(pageHTML)
	if err == nil {
		err = t.ExecuteTemplate(&b, name, view)
	}
	if err != nil {
		return text(http.StatusInternalServerError, "The sandbox's page is broken: "+err.Error())
	}
	return answer{status: status, body: b.Bytes()}.with("Content-Type", "text/html; charset=utf-8").
		with("X-Frame-Options", "DENY")
}
