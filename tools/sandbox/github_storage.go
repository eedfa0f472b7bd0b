package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// StorageHost is the host, known in public, to which GitHub's logs redirect.
// GitHubStorage stands in for it.
const StorageHost = "productionresultssa0.blob.core.windows.net"

const storageLife = 10 * time.Minute // of a signed URL

// githubJobLog redirects to a signed URL, as GitHub does. There is no log of a job
// that still runs, and none of an old one.
func (s *Sandbox) githubJobLog(c *call, r *repo, w *workflowRun, j *workflowJob) answer {
	if j.Status != "completed" || j.Log == "" {
		return githubNotFound()
	}
	path := fmt.Sprintf("/actions-results/run-%d/job-%d/logs/job/job-logs.txt", w.ID, j.ID)
	until := s.cfg.Now().UTC().Add(storageLife).Format(time.RFC3339)
	query := url.Values{"rsct": {"text/plain"}, "se": {until}, "sp": {"r"}, "spr": {"https"}, "sr": {"b"}, "sv": {"2025-11-05"},
		"sig": {s.storageSignature(path, until)}}
	return answer{status: http.StatusFound}.with("Location", "https://"+StorageHost+path+"?"+query.Encode())
}

// storageSignature is of a path and the time until which it may be read.
func (s *Sandbox) storageSignature(path, until string) string {
	mac := hmac.New(sha256.New, []byte(s.cfg.GitHub.Secret))
	fmt.Fprintf(mac, "%s\n%s", path, until)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// GitHubStorage serves what GitHub's API redirects to. It knows nobody: a signed URL
// is all that it takes, and whoever shows it a credential is refused.
func (s *Sandbox) GitHubStorage() http.Handler {
	return exactPaths(s.serve(func(c *call) answer {
		a := s.stored(c)
		s.downloads = appendLog(s.downloads, Request{Provider: "GitHub storage", Method: c.Method, Path: c.URL.Path,
			Query: c.URL.Query(), TokenHash: credentialHash(c), Status: a.status})
		return a
	}))
}

// Downloads is the log of requests to the storage, oldest first. A token hash in it
// is of a credential that should not have come.
func (s *Sandbox) Downloads() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request{}, s.downloads...)
}

func credentialHash(c *call) string {
	if c.Header.Get("Authorization") == "" {
		return ""
	}
	return TokenHash(bearer(c.Request))
}

func (s *Sandbox) stored(c *call) answer {
	q := c.URL.Query()
	until, err := time.Parse(time.RFC3339, q.Get("se"))
	signed := hmac.Equal([]byte(q.Get("sig")), []byte(s.storageSignature(c.URL.Path, q.Get("se"))))
	switch {
	case c.Header.Get("Authorization") != "" || c.Header.Get("Cookie") != "":
		return storageError(http.StatusBadRequest, "InvalidAuthenticationInfo", "Authentication information is not given in the correct format. Check the value of Authorization header.")
	case c.Method != http.MethodGet && c.Method != http.MethodHead:
		return storageError(http.StatusForbidden, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.")
	case err != nil || !signed || !s.cfg.Now().Before(until):
		return storageError(http.StatusForbidden, "AuthenticationFailed", "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.")
	}
	var run, job int64
	if _, err := fmt.Sscanf(c.URL.Path, "/actions-results/run-%d/job-%d/logs/job/job-logs.txt", &run, &job); err != nil {
		return storageError(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.")
	}
	for _, r := range s.state.Repos {
		for _, w := range r.Runs {
			for _, j := range w.Jobs {
				if w.ID == run && j.ID == job && j.Log != "" {
					return answer{status: http.StatusOK, body: []byte(j.Log)}.with("Content-Type", q.Get("rsct")).
						with("Content-Length", strconv.Itoa(len(j.Log))).with("X-Ms-Blob-Type", "BlockBlob")
				}
			}
		}
	}
	return storageError(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.")
}

func storageError(status int, code, message string) answer {
	body := `<?xml version="1.0" encoding="utf-8"?><Error><Code>` + code + `</Code><Message>` + message + `</Message></Error>`
	return answer{status: status, body: []byte("\ufeff" + body)}.with("Content-Type", "application/xml").with("X-Ms-Error-Code", code)
}
