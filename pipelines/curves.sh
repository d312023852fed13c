#!/usr/bin/env bash
# curves.sh METRICS - loss, learning rate, gradient norm and evaluations of a training, as one HTML
# page on standard output.
set -eu -o pipefail
awk '
function value(name,    at) {
    if (!(at = index($0, "\"" name "\":")))
        return ""
    at = substr($0, at + length(name) + 3)
    sub(/[,}].*/, "", at)
    return at == "null" ? "" : at
}
function take(curve, v) {
    if (v == "")
        return
    n[curve]++
    x[curve, n[curve]] = step
    y[curve, n[curve]] = v + 0
    if (n[curve] == 1 || v + 0 < low[curve]) low[curve] = v + 0
    if (n[curve] == 1 || v + 0 > high[curve]) high[curve] = v + 0
}
function draw(curve, title,    i, w, h, span, points) {
    if (!n[curve])
        return
    w = 720; h = 200; span = high[curve] - low[curve]
    for (i = 1; i <= n[curve]; i++)
        points = points sprintf("%.1f,%.1f ", 60 + w * x[curve, i] / last,
            10 + h * (span ? (high[curve] - y[curve, i]) / span : 0.5))
    printf "<h2>%s</h2>\n<svg viewBox=\"0 0 800 240\" width=\"800\" role=\"img\" aria-label=\"%s\">", title, title
    printf "<rect x=\"60\" y=\"10\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#bbb\"/>", w, h
    printf "<text x=\"54\" y=\"16\" text-anchor=\"end\">%.4g</text>", high[curve]
    printf "<text x=\"54\" y=\"%d\" text-anchor=\"end\">%.4g</text>", h + 10, low[curve]
    printf "<text x=\"60\" y=\"%d\">0</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">step %d</text>", h + 28, w + 60, h + 28, last
    printf "<polyline fill=\"none\" stroke=\"#1662a6\" stroke-width=\"1.5\" points=\"%s\"/>", points
    print "</svg>"
}
{
    step = value("step") + 0
    if (step > last) last = step
    take("loss", value("loss")); take("lr", value("lr")); take("norm", value("grad_norm"))
    take("eval", value("eval_loss")); take("right", value("eval_accuracy"))
}
END {
    print "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Training</title>"
    print "<style>body{font:14px sans-serif;max-width:820px;margin:2em auto}svg text{font-size:11px}</style>"
    printf "<h1>Training</h1><p>%d steps</p>\n", last
    if (last) {
        draw("loss", "Loss"); draw("eval", "Loss of the evaluation")
        draw("right", "Accuracy of the evaluation"); draw("lr", "Learning rate"); draw("norm", "Gradient norm")
    }
    print "</html>"
}' "$1"
