// The theme that somebody chose, before anything is drawn: so that nothing flashes. Not a module, since those come later.

try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
} catch {
  // Where nothing may be kept, the system's theme is shown.
}
