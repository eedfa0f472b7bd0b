package store

// Keys is the key-encryption keyset (Tink, AES-256-GCM or XChaCha20-Poly1305).
type Keys struct{}

// KeysFromFile reads the keyset at path, or makes one there with mode 0600 on
// first start. A file that group or others can read is refused.
func KeysFromFile(path string) (*Keys, error) { panic("not written yet") }
