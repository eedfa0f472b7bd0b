package github

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	lineLength = 2000 // bytes of a file's line
	refLength  = 300  // bytes of a branch's name
)

func getFile() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_get_file",
		Title:       "Read a file",
		Description: "A text file, or a range of its lines; for a directory, its entries. Not for changes (github_get_commit).",
		Can:         "Read files in public repositories and in those that you can see",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/contents", Query: []string{"ref"}},
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/contents/{path...}", Query: []string{"ref"}},
		},
	}, readFile)
}

type fileInput struct {
	Repo      string `json:"repo" jsonschema:"owner/name"`
	Path      string `json:"path,omitempty" jsonschema:"default: the top"`
	Ref       string `json:"ref,omitempty" jsonschema:"branch, tag or SHA"`
	StartLine int    `json:"start_line,omitempty" jsonschema:"from 1"`
	EndLine   int    `json:"end_line,omitempty" jsonschema:"inclusive"`
	Cursor    string `json:"cursor,omitempty" jsonschema:"a directory's next_cursor"`
}

type fileOutput struct {
	Type       string     `json:"type"`
	Size       int        `json:"size,omitempty"`
	Text       string     `json:"text,omitempty"`
	TotalLines int        `json:"total_lines,omitempty"`
	NextLine   int        `json:"next_start_line,omitempty"`
	Note       string     `json:"note,omitempty"`
	Entries    []dirEntry `json:"entries,omitempty"`
	NextCursor string     `json:"next_cursor,omitempty"`
	Untrusted  string     `json:"untrusted"`
}

type dirEntry struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Size int    `json:"size,omitempty"`
}

// A content is what the tool reads of GitHub's answer.
type content struct {
	Type         string `json:"type"`
	Name         string `json:"name"`
	SHA          string `json:"sha"`
	Size         int    `json:"size"`
	Encoding     string `json:"encoding"`
	Content      string `json:"content"`
	Target       string `json:"target"`
	SubmoduleURL string `json:"submodule_git_url"`
}

func readFile(ctx context.Context, api *http.Client, in fileInput) (fileOutput, error) {
	path, err := in.path()
	if err != nil {
		return fileOutput{}, err
	}
	if in.EndLine != 0 && in.EndLine < max(in.StartLine, 1) {
		return fileOutput{}, told("end_line %d is before start_line %d.", in.EndLine, max(in.StartLine, 1))
	}
	client, err := connect(api)
	if err != nil {
		return fileOutput{}, err
	}
	query := url.Values{}
	if in.Ref != "" {
		query.Set("ref", in.Ref)
	}
	var answer json.RawMessage
	if _, err := get(ctx, client, path, query, &answer); err != nil {
		return fileOutput{}, in.fault(ctx, err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(answer), []byte("[")) {
		return in.directory(ctx, answer)
	}
	var file content
	if err := json.Unmarshal(answer, &file); err != nil {
		return fileOutput{}, fmt.Errorf("github: read a file's contents: %w", err)
	}
	return in.file(file)
}

// path is where the file is in the API. A segment that would lead elsewhere, or that
// no contract lets through, is told here.
func (in fileInput) path() (string, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return "", err
	}
	parts := []any{"contents"}
	if trimmed := strings.Trim(in.Path, "/"); trimmed != "" {
		for segment := range strings.SplitSeq(trimmed, "/") {
			if !plain(segment) {
				return "", told("The path %q can't be read: its parts may not be empty, \".\" or \"..\", nor hold \\ ; %% or invisible characters.", line(in.Path, titleLength))
			}
			parts = append(parts, segment)
		}
	}
	return repo.path(parts...), nil
}

// fault is fault, about the file.
func (in fileInput) fault(ctx context.Context, err error) error {
	about := "The repository " + in.Repo
	if path := strings.Trim(in.Path, "/"); path != "" {
		about = line(path, titleLength) + " in " + in.Repo
	}
	if in.Ref != "" {
		about += " at " + line(in.Ref, refLength)
	}
	if answer, ok := errors.AsType[*gh.ErrorResponse](err); ok && len(answer.Errors) > 0 && answer.Errors[0].Code == "too_large" {
		return told("%s is larger than the 1 MB that GitHub gives of a file here.", about)
	}
	if says(err, http.StatusNotFound, "repository is empty") {
		return told("The repository %s is empty: it has no files yet.", in.Repo)
	}
	return fault(ctx, err, about)
}

// directory is what fits of its entries. GitHub gives them all, or the first 1000.
func (in fileInput) directory(ctx context.Context, answer json.RawMessage) (fileOutput, error) {
	var list []content
	if err := json.Unmarshal(answer, &list); err != nil {
		return fileOutput{}, fmt.Errorf("github: read a directory: %w", err)
	}
	at, err := placeIn(ctx, in.Cursor)
	if err != nil {
		return fileOutput{}, err
	}
	entries, cursor, err := cut(ctx, at, each(list, func(c content) dirEntry {
		return dirEntry{Name: tools.Clean(c.Name), Type: c.Type, Size: c.Size}
	}), 0, room)
	return fileOutput{Type: "dir", Entries: entries, NextCursor: cursor, Untrusted: tools.Untrusted}, err
}

// file is f with the lines that were asked for, if it has any.
func (in fileInput) file(f content) (fileOutput, error) {
	out := fileOutput{Type: f.Type, Size: f.Size, Untrusted: tools.Untrusted}
	switch {
	case f.Type == "symlink":
		out.Note = "It points to " + line(f.Target, titleLength) + "."
		return out, nil
	case f.Type == "submodule":
		out.Note = "It is another repository: " + line(f.SubmoduleURL, titleLength) + " at " + f.SHA + "."
		return out, nil
	case f.Encoding == "none":
		out.Note = "No text: the file is larger than the 1 MB that GitHub gives here."
		return out, nil
	}
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(f.Content, "\n", ""))
	if err != nil {
		return fileOutput{}, fmt.Errorf("github: a file's content: %w", err)
	}
	if !utf8.Valid(raw) || bytes.IndexByte(raw, 0) >= 0 {
		out.Note = "No text: the file is binary."
		return out, nil
	}
	err = in.lines(string(raw), &out)
	return out, err
}

// lines puts the range that was asked for into out, or what fits of it.
func (in fileInput) lines(text string, out *fileOutput) error {
	all := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if text == "" {
		all = nil
	}
	first, last := max(in.StartLine, 1), len(all)
	if in.EndLine != 0 {
		last = min(in.EndLine, len(all))
	}
	if first > max(len(all), 1) {
		return told("The file has only %d lines, so it has none from start_line %d.", len(all), in.StartLine)
	}
	long := false
	wanted := each(all[first-1:last], func(text string) string {
		short, cut := tools.Clip(text, lineLength)
		long = long || cut
		return short
	})
	n := tools.Fit(wanted, room)
	out.Text, out.TotalLines = strings.Join(wanted[:n], "\n"), len(all)
	if n < len(wanted) {
		out.NextLine = first + n
	}
	out.Note = noteOn(text, long)
	return nil
}

// noteOn says what of text isn't shown as it is. A model that writes such a file back
// from what it was shown would change lines that it never meant to.
func noteOn(text string, long bool) string {
	var notes []string
	if long {
		notes = append(notes, fmt.Sprintf("Lines of more than %d bytes are cut, and end with …", lineLength))
	}
	switch {
	case tools.Clean(strings.ReplaceAll(text, "\r\n", "\n")) != strings.ReplaceAll(text, "\r\n", "\n"):
		notes = append(notes, "The file has invisible characters, which are left out here: to write this text back would delete them.")
	case strings.Contains(text, "\r\n"):
		notes = append(notes, "The file's lines end with CR LF: keep that in what is written back.")
	}
	return strings.Join(notes, " ")
}
