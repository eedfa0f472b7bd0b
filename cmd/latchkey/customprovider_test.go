package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const slackFile = `{"name": "slack", "title": "Slack", "client_id": "c", SECRET,
 "authorize_url": "https://slack.example/authorize", "token_url": "https://slack.example/token",
 "account_url": "https://slack.example/me", "account_id": "sub", "account_label": "name", "api_url": "https://slack.example"}`

func TestProviderFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		check(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	secret := write("secret", "s3cr3t\n")
	inFile := write("slack.json", strings.Replace(slackFile, "SECRET", `"client_secret_file": "`+secret+`"`, 1))
	inClear := write("again.json", strings.Replace(slackFile, "SECRET", `"client_secret": "s3cr3t"`, 1))
	environment(t, good, "LATCHKEY_GITHUB_CLIENT_ID=", "LATCHKEY_GITHUB_CLIENT_SECRET=")
	got, err := serveSettings(t, "--provider-file", inFile)
	check(t, err)
	if len(got.Custom) != 1 || got.Custom[0].Name() != "slack" {
		t.Errorf("%+v", got.Custom)
	}
	host := func(name, file string) string {
		text := strings.NewReplacer("SECRET", `"client_secret": "s3cr3t", "api_host": "slack.com"`, `"slack"`, `"`+name+`"`).Replace(slackFile)
		return write(file, text)
	}
	taking := func(name, file string) string {
		text := strings.NewReplacer("SECRET", `"client_secret": "s3cr3t", "api_host": "slack.example"`, `"slack"`, `"`+name+`"`,
			`"api_url": "https://slack.example"`, `"api_url": "https://taker.example"`).Replace(slackFile)
		return write(file, text)
	}
	for says, files := range map[string][]string{
		"has the API host slack.com too":       {host("slack", "h.json"), host("other", "i.json")},
		"has the API host slack.example too":   {inFile, taking("other", "j.json")},
		"another file has the API host slack.": {taking("another", "k.json"), inFile},
		"can't be read":                        {filepath.Join(dir, "none.json")},
		"another file describes slack":         {inFile, inClear},
		"it is not JSON":                       {write("a.json", `{"client_secret": s3cr3t`)},
		`there is no setting "client_secert"`:  {write("b.json", `{"client_secert": "s3cr3t"}`)},
		"scopes has a value of the wrong kind": {write("c.json", `{"scopes": "s3cr3t"}`)},
		"more in it than one":                  {write("d.json", strings.Replace(slackFile, "SECRET", `"client_secret": "s3cr3t"`, 1)+"{}")},
		"exclude each other":                   {write("e.json", `{"client_secret": "s3cr3t", "client_secret_file": "`+secret+`"}`)},
		"client_secret_file":                   {write("f.json", `{"client_secret_file": "`+dir+`/none"}`)},
		"client_secret is missing":             {write("g.json", strings.Replace(slackFile, "SECRET", `"scopes": []`, 1))},
	} {
		_, err := serveSettings(t, "--provider-file", strings.Join(files, ","))
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "--provider-file") {
			t.Errorf("got %v, want %q", err, says)
			continue
		}
		hidesSecrets(t, err.Error(), "s3cr3t")
	}
}

// The files that tools/README.md shows are good ones.
func TestProviderFilesOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "tools", "README.md"))
	check(t, err)
	dir := t.TempDir()
	secret, file := filepath.Join(dir, "secret"), filepath.Join(dir, "gitlab.json")
	check(t, os.WriteFile(secret, []byte("s3cr3t"), 0o600))
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(readme, -1)
	for _, block := range blocks {
		text := strings.Replace(string(block[1]), "/etc/latchkey/gitlab-secret", secret, 1)
		check(t, os.WriteFile(file, []byte(text), 0o600))
		environment(t, good)
		got, err := serveSettings(t, "--provider-file", file)
		if err != nil || len(got.Custom) != 1 || got.Custom[0].Name() != "gitlab" {
			t.Errorf("%v\n%s", err, text)
		}
	}
	if len(blocks) != 2 {
		t.Errorf("%d files", len(blocks))
	}
}
