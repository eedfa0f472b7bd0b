package store

// Idle reports whether no refresh is under way in the background.
func (v *Vault) Idle() bool {
	idle := true
	v.early.Range(func(any, any) bool { idle = false; return false })
	return idle
}
