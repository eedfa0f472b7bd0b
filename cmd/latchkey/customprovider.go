package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/latchkey-mcp/latchkey/oauthflow"
)

// customProviders reads the files of --provider-file: each one provider, as JSON.
func (c *serveCommand) customProviders(m *mistakes) (list []oauthflow.Provider) {
	moved := map[string]bool{} // by API host: whether a file has it reached elsewhere
	for _, file := range c.ProviderFile {
		custom, err := readCustom(string(file))
		if err != nil {
			m.add("provider-file", "%s: %v", file, oneLine(err))
			continue
		}
		p, err := custom.Provider()
		if err != nil {
			m.add("provider-file", "%s: %s", file, oneLine(err))
			continue
		}
		if slices.ContainsFunc(list, func(before oauthflow.Provider) bool { return before.Name() == p.Name() }) {
			m.add("provider-file", "%s: another file describes %s too", file, p.Name())
		}
		elsewhere, taken := moved[p.APIHost()]
		moved[p.APIHost()] = elsewhere || custom.APIHost != ""
		if taken && moved[p.APIHost()] { // one's tokens would be sent to the other's api_url
			m.add("provider-file", "%s: another file has the API host %s too", file, p.APIHost())
		}
		list = append(list, p)
	}
	return list
}

// A customFile is a file of --provider-file.
type customFile struct {
	oauthflow.Custom
	SecretFile string `json:"client_secret_file"`
}

// readCustom reads file. Its errors quote nothing of it, since it may hold a secret.
func readCustom(file string) (oauthflow.Custom, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return oauthflow.Custom{}, errors.New("can't be read")
	}
	var read customFile
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return oauthflow.Custom{}, unreadable(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return oauthflow.Custom{}, errors.New("there is more in it than one JSON object")
	}
	if read.SecretFile == "" {
		return read.Custom, nil
	}
	if read.ClientSecret != "" {
		return oauthflow.Custom{}, errors.New("client_secret and client_secret_file exclude each other")
	}
	secret, err := os.ReadFile(read.SecretFile)
	if err != nil {
		return oauthflow.Custom{}, fmt.Errorf("client_secret_file %s can't be read", read.SecretFile)
	}
	read.ClientSecret = strings.TrimRight(string(secret), "\r\n")
	return read.Custom, nil
}

// unreadable is err without what it quotes of values.
func unreadable(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s has a value of the wrong kind", wrong.Field)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("there is no setting %s", name)
	}
	return errors.New("it is not JSON")
}

// oneLine is an error of several as one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
