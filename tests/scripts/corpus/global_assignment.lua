-- Global variables cannot be made.
counter = 1
return counter
