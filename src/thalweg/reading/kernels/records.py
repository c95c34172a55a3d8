"""How many rows a stretch of CSV holds, where the last of them ends, and which are odd.

Of an odd row are noted: its number, how many fields it has or what it is instead, where it begins and ends. A newline
within quotes ends no row, and a blank line is none. A quote that closes on another line, in a row that comes out
wrong, is taken for one that never closes: its line is odd, and the lines after it are rows again.
"""

from ...engines.cpu.job import Job

STRAY, REMARK, OPEN = -1, -2, -3  # a carriage return without quotes; a comment; a quote that does not close

# last: the file ends here. remark: the byte that a comment begins with, or -1.
JOB = Job("text", "size", "rows", "delimiter", "width", "odd", "last", "remark", "done", "count", "found")
RECORDS = """
def kernel(job):
    p = octets(job[TEXT])
    odd = words(job[ODD])
    i = 0
    rows = 0
    begin = 0
    found = 0
    broke = 0
    quoted = False
    closed = False
    start = True
    stray = False
    junk = False
    length = 0
    fields = 1
    while rows < job[ROWS]:
        what = 0
        end = 0
        if i >= job[SIZE]:
            if not quoted or job[LAST] == 0:
                break
            what = -3
            end = broke
        elif quoted:
            quoted = p[i] != 34
            closed = not quoted
            if p[i] == 10 and broke == 0:
                broke = i + 1
            length += 1
            i += 1
            continue
        elif i == begin and p[i] == job[REMARK]:
            while i < job[SIZE] and p[i] != 10:
                i += 1
            if i >= job[SIZE]:
                break
            what = -2
            end = i + 1
        elif p[i] == 10:
            end = i + 1
            if length > 0:
                wrong = stray or fields != job[WIDTH]
                if broke > 0 and (wrong or junk):
                    what = -3
                    end = broke
                elif wrong:
                    what = -1 if stray else fields
                else:
                    rows += 1
        if end > 0:
            if what != 0:
                odd[4 * found] = rows
                odd[4 * found + 1] = what
                odd[4 * found + 2] = begin
                odd[4 * found + 3] = end
                found += 1
                rows += 1
            i = end
            begin = end
            broke = 0
            quoted = False
            closed = False
            start = True
            stray = False
            junk = False
            length = 0
            fields = 1
            continue
        c = p[i]
        if c == 34 and (start or closed):
            quoted = True
            start = False
            length += 1
        else:
            start = c == job[DELIMITER]
            fields += start
            if c != 13:
                length += 1
                if closed and not start:
                    junk = True
            elif p[i + 1] != 10:
                stray = True
                length += 1
        closed = False
        i += 1
    job[DONE] = begin
    job[COUNT] = rows
    job[FOUND] = found
    return 0
"""
