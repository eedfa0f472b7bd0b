package identity

// ProveTokens is for a test of its own package: storetest, which says how large a
// proof is, imports this one.
var ProveTokens = proveTokens
