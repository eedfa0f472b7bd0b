package sandbox

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

type object = map[string]any

// nodeID is a made-up global id.
func nodeID(kind string, id int64) string {
	return kind + "_" + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d", kind, id))
}

// accountID is the id of a login, also of those that nobody signs in as.
func accountID(login string) int64 {
	if p, ok := personByLogin(login); ok {
		return p.ID
	}
	if login == DecoyLogin {
		return decoy().ID
	}
	return 2000 + int64(len(login))
}

// simpleUser is GitHub's "simple user".
func simpleUser(base, login string) object {
	api, kind := base+"/api/v3/users/"+login, "User"
	if login == "open-meadow" {
		kind = "Organization"
	}
	id := accountID(login)
	return object{
		"login": login, "id": id, "node_id": nodeID("U", id), "type": kind, "site_admin": false, "user_view_type": "public",
		"avatar_url": fmt.Sprintf("%s/avatars/u/%d", base, id), "gravatar_id": "",
		"url": api, "html_url": base + "/" + login,
		"followers_url": api + "/followers", "following_url": api + "/following{/other_user}",
		"gists_url": api + "/gists{/gist_id}", "starred_url": api + "/starred{/owner}{/repo}",
		"subscriptions_url": api + "/subscriptions", "organizations_url": api + "/orgs",
		"repos_url": api + "/repos", "events_url": api + "/events{/privacy}",
		"received_events_url": api + "/received_events",
	}
}

// fullUser is GitHub's "public user", with the address where the token may know it.
func fullUser(base string, p person, withEmail bool) object {
	u := simpleUser(base, p.Login)
	u["name"], u["bio"], u["company"], u["blog"], u["location"] = p.Name, p.Description, nil, "", nil
	u["email"], u["hireable"], u["twitter_username"] = nil, nil, nil
	if withEmail {
		u["email"] = p.Email
	}
	u["public_repos"], u["public_gists"], u["followers"], u["following"] = 0, 0, 3, 5
	u["created_at"], u["updated_at"] = "2021-03-14T09:26:53Z", "2024-02-29T12:00:00Z"
	return u
}

// fullRepo is GitHub's "full repository", as account sees it.
func fullRepo(base string, r *repo, account string) object {
	full := r.Owner + "/" + r.Name
	api, page := base+"/api/v3/repos/"+full, base+"/"+full
	own, visibility, open := r.Owner == account, "public", r.open()
	if r.Private {
		visibility = "private"
	}
	o := object{
		"id": r.ID, "node_id": nodeID("R", r.ID), "name": r.Name, "full_name": full, "private": r.Private,
		"visibility": visibility, "owner": simpleUser(base, r.Owner), "html_url": page, "url": api,
		"description": r.Description, "fork": false, "homepage": nil, "language": nil, "license": nil, "topics": []string{},
		"created_at": stamp(r.Created), "updated_at": stamp(r.Created), "pushed_at": stamp(r.Created),
		"git_url": "git:" + page + ".git", "ssh_url": "git@sandbox.example:" + full + ".git",
		"clone_url": page + ".git", "svn_url": page, "mirror_url": nil,
		"size": 108, "stargazers_count": 0, "watchers_count": 0, "watchers": 0, "forks_count": 0, "forks": 0,
		"network_count": 0, "subscribers_count": 1, "open_issues_count": open, "open_issues": open,
		"default_branch": "main", "has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false,
		"has_downloads": true, "has_discussions": false, "archived": false, "disabled": false,
		"permissions": object{"admin": own, "maintain": own, "push": own, "triage": own, "pull": true},
	}
	for _, name := range strings.Fields("forks collaborators teams hooks issue_events events assignees branches tags blobs git_tags git_refs trees statuses languages stargazers contributors subscribers subscription commits git_commits comments issue_comment contents compare merges archive downloads issues pulls milestones notifications labels releases deployments keys") {
		o[name+"_url"] = api + "/" + name
	}
	return o
}

func (r *repo) open() int {
	n := 0
	for _, i := range r.Issues {
		if i.State == "open" {
			n++
		}
	}
	return n
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// issueShape is GitHub's "issue".
func issueShape(base string, r *repo, i *issue, account string) object {
	repoURL := base + "/api/v3/repos/" + r.Owner + "/" + r.Name
	api := fmt.Sprintf("%s/issues/%d", repoURL, i.Number)
	o := object{
		"id": i.ID, "node_id": nodeID("I", i.ID), "number": i.Number, "title": i.Title, "body": orNull(i.Body),
		"url": api, "repository_url": repoURL, "labels_url": api + "/labels{/name}", "comments_url": api + "/comments",
		"events_url": api + "/events", "timeline_url": api + "/timeline",
		"html_url": fmt.Sprintf("%s/%s/%s/issues/%d", base, r.Owner, r.Name, i.Number),
		"state":    i.State, "state_reason": orNull(i.StateReason), "user": simpleUser(base, i.Author),
		"labels": labelShapes(repoURL, r, i.Labels), "assignee": nil, "assignees": []object{}, "milestone": nil,
		"locked": false, "active_lock_reason": nil, "comments": len(i.Comments), "closed_at": nil, "closed_by": nil,
		"created_at": stamp(i.Created), "updated_at": stamp(i.Updated),
		"author_association": association(r, i.Author), "performed_via_github_app": nil,
		"reactions": object{"url": api + "/reactions", "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0,
			"confused": 0, "heart": 0, "rocket": 0, "eyes": 0},
	}
	if i.Pull != nil {
		page := fmt.Sprintf("%s/%s/%s/pull/%d", base, r.Owner, r.Name, i.Number)
		o["html_url"], o["draft"] = page, i.Pull.Draft
		links := object{"url": fmt.Sprintf("%s/pulls/%d", repoURL, i.Number), "html_url": page,
			"diff_url": page + ".diff", "patch_url": page + ".patch", "merged_at": nil}
		if i.Pull.Merged != nil {
			links["merged_at"] = stamp(*i.Pull.Merged)
		}
		o["pull_request"] = links
	}
	var assignees []object
	for _, login := range i.Assignees {
		assignees = append(assignees, simpleUser(base, login))
	}
	if len(assignees) > 0 {
		o["assignee"], o["assignees"] = assignees[0], assignees
	}
	if i.Closed != nil {
		o["closed_at"] = stamp(*i.Closed)
	}
	return o
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func association(r *repo, author string) string {
	if r.Owner == author {
		return "OWNER"
	}
	return "NONE"
}

func labelShapes(repoURL string, r *repo, names []string) []object {
	list := []object{}
	for _, name := range names {
		id := 7000 + int64(slices.Index(r.Labels, name))
		list = append(list, object{"id": id, "node_id": nodeID("LA", id), "url": repoURL + "/labels/" + name,
			"name": name, "description": nil, "color": "5319e7", "default": false})
	}
	return list
}

// issueShapes is a list of issues; search results have a score.
func issueShapes(c *call, list []found, scored bool) []object {
	out := []object{}
	for _, f := range list {
		o := issueShape(c.base, f.repo, f.issue, c.token.Account)
		if scored {
			o["score"] = 1.0
		}
		out = append(out, o)
	}
	return out
}
