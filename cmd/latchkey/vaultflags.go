package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

// vaultFlags say where a vault and its keys are.
type vaultFlags struct {
	Config   kong.ConfigFlag `placeholder:"FILE" help:"A YAML file of settings. Flags and the environment win over it."`
	Data     text            `placeholder:"DIR" env:"LATCHKEY_DATA" help:"Where the vault is kept; ~/.local/state/latchkey/serve unless set."`
	KeysFile text            `placeholder:"FILE" env:"LATCHKEY_KEYS_FILE" help:"The vault's keys, made on first start; keys.json in the data directory unless set."`
	Keys     text            `placeholder:"KEYSET" env:"LATCHKEY_KEYS" help:"Or the keys themselves, the content of such a file; not on a command line."`
	KeysKMS  text            `name:"keys-kms" placeholder:"URI" env:"LATCHKEY_KEYS_KMS" help:"The KMS key that encrypts either: gcp-kms://…, aws-kms://…, hcvault://…, each with a build tag of its own."`
}

// data is the directory.
func (f vaultFlags) data(m *mistakes) string {
	if f.Data != "" {
		return string(f.Data)
	}
	dir, err := stateDir("serve")
	if err != nil {
		m.add("data", "%v", err)
	}
	return dir
}

// kms is the URI of the KMS key that encrypts the keyset, "" where none does.
func (f vaultFlags) kms(m *mistakes) string {
	if f.KeysKMS == "" {
		return ""
	}
	if err := store.CheckKMS(string(f.KeysKMS)); err != nil {
		m.add("keys-kms", "%v", err)
	}
	return string(f.KeysKMS)
}

// keys is the keyset, "" where it is in a file. What a KMS encrypts is looked at when
// it is opened.
func (f vaultFlags) keys(m *mistakes) string {
	if f.Keys == "" {
		return ""
	}
	if f.KeysFile != "" {
		m.add("keys", "and %s exclude each other: give one", setting("keys-file"))
	}
	if f.KeysKMS == "" {
		if _, err := store.KeysFromText(context.Background(), string(f.Keys), ""); err != nil {
			m.add("keys", "%v", err)
		}
	}
	return string(f.Keys)
}

// keysFile is the key file of the vault in data.
func keysFile(file, data string) string {
	if file != "" {
		return file
	}
	return filepath.Join(data, "keys.json")
}

// check is the directory and the key file, which is "" where the keys are given.
func (f vaultFlags) check() (data, file string, err error) {
	var m mistakes
	data = f.data(&m)
	f.kms(&m)
	if f.keys(&m) == "" {
		file = keysFile(string(f.KeysFile), data)
	}
	return data, file, m.err()
}

// existing is the keys that are there; none are made.
func (f vaultFlags) existing(ctx context.Context, file string) (*store.Keys, error) {
	if file == "" {
		return store.KeysFromText(ctx, string(f.Keys), string(f.KeysKMS))
	}
	return f.keyFile(file).Existing(ctx)
}

// keyFile is the key file at path.
func (f vaultFlags) keyFile(path string) store.KeyFile {
	return store.KeyFile{Path: path, KMS: string(f.KeysKMS)}
}

// find is the directory of a vault that is there, and its keys.
func (f vaultFlags) find(ctx context.Context) (data string, keys *store.Keys, err error) {
	data, file, err := f.check()
	if err != nil {
		return "", nil, err
	}
	if !sqlite.Exists(data) {
		return "", nil, noVault(data)
	}
	keys, err = f.existing(ctx, file)
	return data, keys, err
}

// open is the vault's database, beside whoever uses it, and its keys.
func (f vaultFlags) open(ctx context.Context) (*sqlite.DB, *store.Keys, error) {
	data, keys, err := f.find(ctx)
	if err != nil {
		return nil, nil, err
	}
	db, err := sqlite.Open(ctx, data, nil)
	return db, keys, err
}

func noVault(dir string) error {
	return errors.New("no vault in " + dir + ": name its directory with --data")
}
