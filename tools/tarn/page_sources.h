/* The pages' own text, embedded by the build from tools/tarn/page: see page.cmake. */
#ifndef PAGE_SOURCES_H
#define PAGE_SOURCES_H

extern const char page_html[];
extern const char page_style[];
extern const char page_script[];
extern const char plan_html[]; /* has page_style too */
extern const char plan_script[];

#endif
