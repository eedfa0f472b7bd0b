package authserver

import (
	_ "embed"
	"html/template"
)

//go:embed pages.html
var pagesHTML string

var pages = template.Must(template.New("pages").Parse(pagesHTML))
