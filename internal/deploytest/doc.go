// Package deploytest checks what zproxy is deployed with: the image, units of
// systemd, packages, manifests and charts, the compose file and the release. It
// is a module of its own, so that the libraries which read these formats are no
// dependencies of zproxy.
package deploytest
