package oauthflow

import "reflect"

// known are providers as Latchkey itself describes them, without a client: whoever
// has one there says name, client_id and client_secret, and no more.
func known() []Custom {
	return []Custom{
		{
			Name: "gitlab", Title: "GitLab", ClientAuth: "client_secret_post",
			AuthorizeURL: "https://gitlab.com/oauth/authorize",
			TokenURL:     "https://gitlab.com/oauth/token",
			RevokeURL:    "https://gitlab.com/oauth/revoke",
			RemoveURL:    "https://gitlab.com/-/user_settings/applications",
			AccountURL:   "https://gitlab.com/api/v4/user", AccountID: "id", AccountLabel: "username",
			APIURL: "https://gitlab.com", Scopes: []string{"read_user"},
			Words: map[string]string{
				"read_user": "Read your profile, to show which account is connected",
				"read_api":  "Read all that you see at GitLab: projects, issues, code",
				"api":       "Read and change all that you can at GitLab",
			},
			Implies: map[string][]string{"api": {"read_api"}, "read_api": {"read_user"}},
		},
	}
}

// completed is c, or the known provider of its name where c says no more than its own
// client. A description that says more stands alone: with some URLs of one server and
// some of another, one's tokens would be sent to the other.
func (c Custom) completed() Custom {
	for _, own := range known() {
		if own.Name == c.Name && reflect.DeepEqual(c, Custom{Name: c.Name, ClientID: c.ClientID, ClientSecret: c.ClientSecret}) {
			own.ClientID, own.ClientSecret = c.ClientID, c.ClientSecret
			return own
		}
	}
	return c
}
