package tools_test

import (
	"net/url"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
)

func TestCheckRedirect(t *testing.T) {
	rule := tools.Rule{Method: "GET", Host: "api.example.com", Path: "/log", Redirects: []string{
		"files.example.com", "*.logs.example.com", "store*.blob.example.net",
	}}
	for target, ok := range map[string]bool{
		"https://files.example.com/a/b%2Fc?sig=x%2B": true,
		"https://files.example.com":                  true,
		"https://a-1.logs.example.com/x":             true,
		"https://store0.blob.example.net/x":          true,
		"https://store199.blob.example.net/x":        true,

		"http://files.example.com/x":                  false,
		"//files.example.com/x":                       false,
		"/x":                                          false,
		"https:files.example.com":                     false,
		"https://files.example.com:443/x":             false,
		"https://FILES.example.com/x":                 false,
		"https://files.example.com./x":                false,
		"https://me@files.example.com/x":              false,
		"https://api.example.com/log":                 false,
		"https://evil.example/x":                      false,
		"https://evil.example/files.example.com":      false,
		"https://logs.example.com/x":                  false,
		"https://.logs.example.com/x":                 false,
		"https://a.b.logs.example.com/x":              false,
		"https://a.logs.example.com.evil.example/x":   false,
		"https://a..logs.example.com/x":               false,
		"https://a_b.logs.example.com/x":              false,
		"https://store.blob.example.net/x":            false,
		"https://store1a.blob.example.net/x":          false,
		"https://storeevil.blob.example.net/x":        false,
		"https://1.blob.example.net/x":                false,
		"https://store1.blob.example.net.evil.test/x": false,
		"https://store1/x":                            false,
	} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if err := rule.CheckRedirect(u); (err == nil) != ok {
			t.Errorf("%s: %v", target, err)
		}
	}
	if rule.CheckRedirect(nil) == nil || (tools.Rule{Host: "api.example.com"}).CheckRedirect(&url.URL{Scheme: "https"}) == nil {
		t.Error("no URL, or no host, passes")
	}
}
