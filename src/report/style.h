/* style.h - how the page looks, and the one thing it does: searching the mistakes. */
#ifndef REPORT_STYLE_H
#define REPORT_STYLE_H

extern const char page_style[], page_script[];

#endif
