// Conveniences only: every page works without this script.

// "/" puts the cursor into the search box.
document.addEventListener("keydown", (event) => {
  const box = document.querySelector("[data-search]");
  const isTyping = event.target.matches("input, textarea, select");
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.key === "/" && box && !isTyping && isPlain) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

// Copy buttons appear only where copying is possible.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not copied";
      }
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  }
}
