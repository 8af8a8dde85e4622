// Runs before the first paint, so that nobody who chose light sees a dark flash. A file of its own because the
// content security policy allows no inline script.
(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem("springhouse.theme");
  } catch {
    // Storage may be forbidden; the system's preference decides then.
  }
  var light = chosen === "light" || (chosen !== "dark" && matchMedia("(prefers-color-scheme: light)").matches);
  document.documentElement.className = light ? "light" : "dark";
})();
